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
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmount:", err)
		os.Exit(1)
	}
}

// run is the host's part, or in the guest the guest's.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if os.Getenv(envRound) != "" {
		return runRound(ctx, o, stdout)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return o.runAll(ctx, self, args, stdout, stderr)
}

// options are the flags, which host and guest share.
type options struct {
	rounds  int
	files   int
	only    string
	peers   string
	mount   string
	program string
	timeout time.Duration
}

func parse(args []string, stderr io.Writer) (*options, error) {
	var o options
	fs := flag.NewFlagSet("benchmount", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.rounds, "rounds", 3, "how many rounds: figures are medians")
	fs.IntVar(&o.files, "files", 11_000, "how many files the tree has that is worked on")
	fs.StringVar(&o.only, "only", strings.Join(operationNames(), ","), "`operations` to measure, separated by commas; those that they build upon are done too")
	fs.StringVar(&o.peers, "peers", strings.Join(contenderNames(), ","), "`contenders` beside nixnfsd, separated by commas")
	fs.StringVar(&o.mount, "mount", "", "more mount `options`, for all servers, separated by commas")
	fs.StringVar(&o.program, "nixnfsd", "./nixnfsd", "`program` to measure, statically linked")
	fs.DurationVar(&o.timeout, "timeout", 20*time.Minute, "how long a round may take")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if o.rounds < 1 || o.files < 1 || fs.NArg() > 0 {
		return nil, errors.New("give at least one round, one file, and no arguments")
	}
	return &o, errors.Join(known("-only", o.only, operationNames()), known("-peers", o.peers, contenderNames()))
}

// known refuses a list with a name that is not among names.
func known(flag, list string, names []string) error {
	for name := range strings.SplitSeq(list, ",") {
		if name != "" && !slices.Contains(names, name) {
			return fmt.Errorf("%s: there is no %q, but %q", flag, name, names)
		}
	}
	return nil
}

// among reports whether a list that is separated by commas holds a name.
func among(list, name string) bool { return slices.Contains(strings.Split(list, ","), name) }

// runAll has a guest work for each round, which gets this program and its arguments, and prints
// what they found.
func (o *options) runAll(ctx context.Context, self string, args []string, stdout, stderr io.Writer) error {
	kit, err := uml.Setup(ctx, stderr)
	if err != nil {
		return err
	}
	var r report
	for round := range o.rounds {
		fmt.Fprintf(stderr, "benchmount: round %d of %d\n", round+1, o.rounds)
		found, err := o.bootRound(ctx, kit, self, round, args, stderr)
		if err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		r.rounds = append(r.rounds, found)
	}
	return r.print(stdout, "make bench-mount BENCH='"+strings.Join(args, " ")+"'")
}

// bootRound has a guest work for one round.
func (o *options) bootRound(ctx context.Context, kit *uml.Kit, self string, round int, args []string, log io.Writer) (results, error) {
	out, err := os.MkdirTemp("", "benchmount-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	result, err := kit.Run(ctx, uml.Config{
		Programs:  []string{self, o.program},
		ServerUID: user, // owns the scratch, and has a home there
		Test:      append([]string{filepath.Base(self)}, args...),
		Env:       []string{fmt.Sprintf("%s=%d", envRound, round), envProgram + "=" + filepath.Base(o.program)},
		MemoryMB:  4096,
		Timeout:   o.timeout,
		Out:       out,
	}, log)
	if err != nil {
		return nil, err
	}
	if result.Status != 0 {
		return nil, fmt.Errorf("the guest's part ended with status %d", result.Status)
	}
	return readResults(filepath.Join(out, resultsFile))
}
