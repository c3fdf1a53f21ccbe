// Command demo shows what nixnfsd is for, on any Debian machine with Go and gcc: in
// a guest machine it serves an ordinary user's directory, mounts it at /nix, and
// has Nix build, run, verify and collect a small program there.
//
//	go run ./integration/demo
package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml"
)

//go:embed demo.sh
var script string

//go:embed hello.nix
var expression string

// user is the ordinary user in the guest.
const user = 1000

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run shows the demo on stdout and what it prepares on stderr.
func run(ctx context.Context, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "nixnfsd-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(stderr, "demo: building nixnfsd")
	binary := filepath.Join(dir, "nixnfsd")
	if err := uml.GoBuild(ctx, binary, "github.com/nixnfsd/nixnfsd/cmd/nixnfsd"); err != nil {
		return err
	}
	kit, err := uml.Setup(ctx, stderr)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "demo: booting a Linux guest with an NFS client")
	result, err := kit.Run(ctx, uml.Config{
		Programs:  []string{binary},
		ServerUID: user, // owns the scratch, which holds the user's home
		Test:      []string{"sh", "-c", script},
		Env:       []string{"EXPRESSION=" + expression, fmt.Sprintf("DEMO_USER=%d", user)},
		Timeout:   5 * time.Minute,
	}, stdout)
	if err == nil && result.Status != 0 {
		err = fmt.Errorf("a step of the demo failed (status %d)", result.Status)
	}
	return err
}
