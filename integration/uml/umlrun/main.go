// Command umlrun runs one program in a guest with an NFS client, over a server or
// without one. It exits with the program's status; 125 means that the guest had
// trouble, 124 that the time was up, 123 that the server died.
//
//	go run ./integration/uml/umlrun [flags] [SERVER [ARG...]] -- TEST [ARG...]
//
// It builds the guest's first process from source: run it inside the module.
// With a SERVER, that is started on an empty directory (%E in its arguments, its port is
// %P) and mounted at /nix. Programs given by a path are copied into the guest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/nixnfsd/nixnfsd/integration/uml"
)

// Exit statuses that are not the test's.
const (
	exitServerDied = 123
	exitTimeLimit  = 124
	exitTrouble    = 125
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		var status int
		if status, err = boot(ctx, cfg, stdout, stderr); err == nil {
			return status
		}
	}
	fmt.Fprintln(stderr, "umlrun:", err)
	switch {
	case errors.Is(err, uml.ErrServerDied):
		return exitServerDied
	case errors.Is(err, uml.ErrTimeLimit):
		return exitTimeLimit
	}
	return exitTrouble
}

func boot(ctx context.Context, cfg uml.Config, stdout, stderr io.Writer) (int, error) {
	kit, err := uml.Setup(ctx, stderr)
	if err != nil {
		return 0, err
	}
	result, err := kit.Run(ctx, cfg, stdout)
	return result.Status, err
}

// parse reads flags, server and test. The server's flags are not ours.
func parse(args []string, stderr io.Writer) (uml.Config, error) {
	var cfg uml.Config
	flags := flag.NewFlagSet("umlrun", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&cfg.ServerUID, "u", 0, "run the server as user `UID`")
	flags.IntVar(&cfg.TestUID, "U", 0, "run the test as user `UID`")
	flags.DurationVar(&cfg.Timeout, "t", 0, "end the run after this `time` (default 10m)")
	flags.StringVar(&cfg.MountOptions, "o", "", "mount with these `options` instead of the usual ones")
	flags.BoolVar(&cfg.Systemd, "systemd", false, "have systemd run the guest")
	flags.StringVar(&cfg.Out, "out", "", "let the test write to this `directory` as $OUT, and leave the logs there")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: umlrun [flags] [SERVER [ARG...]] -- TEST [ARG...]")
		flags.PrintDefaults()
	}
	// The flag package would take the "--" before a test without a server for itself.
	dashes := slices.Index(args, "--")
	if dashes < 0 || dashes == len(args)-1 {
		flags.Usage()
		return cfg, errors.New(`give a test after "--"`)
	}
	if err := flags.Parse(args[:dashes]); err != nil {
		return cfg, err
	}
	cfg.Server = bring(&cfg, flags.Args())
	cfg.Test = bring(&cfg, args[dashes+1:])
	cfg.Mount = len(cfg.Server) > 0
	return cfg, nil
}

// bring has a program that is given by its path copied into the guest.
func bring(cfg *uml.Config, argv []string) []string {
	if len(argv) == 0 || !strings.Contains(argv[0], "/") {
		return argv
	}
	cfg.Programs = append(cfg.Programs, argv[0])
	return append([]string{filepath.Base(argv[0])}, argv[1:]...)
}
