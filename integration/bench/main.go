package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// envAlone tells the process that alone started that it is that.
const envAlone = "NIXNFSD_BENCH_ALONE"

func main() {
	if as := os.Getenv(envServe); as != "" {
		fmt.Fprintln(os.Stderr, serveOwn(as))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := mainIn(ctx)
	stop()
	os.Exit(code)
}

func mainIn(ctx context.Context) int {
	if did, code := alone(ctx); did {
		return code
	}
	err := runMain(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// options are the flags.
type options struct {
	rounds  int
	length  time.Duration
	only    string
	peers   string
	dir     string
	svg     string
	program string
}

func parse(args []string, stderr io.Writer) (*options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.rounds, "rounds", 3, "how many rounds: figures are medians")
	fs.DurationVar(&o.length, "time", 500*time.Millisecond, "how long each measurement is")
	fs.StringVar(&o.only, "only", strings.Join(workloadNames(), ","), "`workloads` to run, separated by commas")
	fs.StringVar(&o.peers, "peers", strings.Join(contenders(), ","), "`contenders` beside nixnfsd, separated by commas")
	fs.StringVar(&o.dir, "dir", "", "`directory` on a disk for trees that are kept (default: in the user's cache directory)")
	fs.StringVar(&o.svg, "svg", "", "`file` to draw")
	fs.StringVar(&o.program, "nixnfsd", "./nixnfsd", "`program` to measure")
	if err := fs.Parse(args); err != nil {
		return nil, flag.ErrHelp
	}
	if o.rounds < 1 || o.length <= 0 || fs.NArg() > 0 {
		return nil, errors.New("give at least one round, a time, and no arguments")
	}
	return &o, errors.Join(known("-peers", o.peers, contenders()), known("-only", o.only, workloadNames()))
}

// known refuses a list with a name that is not among names.
func known(flag, list string, names []string) error {
	for _, name := range strings.Split(list, ",") {
		if !slices.Contains(names, name) && name != "" {
			return fmt.Errorf("%s: there is no %q, but %q", flag, name, names)
		}
	}
	return nil
}

// newBench makes a benchmark of the flags.
func newBench(o *options, log io.Writer) (*bench, error) {
	dir := o.dir
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find a place for trees: %w; give -dir", err)
		}
		dir = filepath.Join(cache, "nixnfsd", "bench")
	}
	program, err := exec.LookPath(o.program)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(contenders(), func(name string) bool {
		return name != nixnfsd && !slices.Contains(strings.Split(o.peers, ","), name)
	})
	wanted := func(workload string) bool {
		return slices.Contains(strings.Split(o.only, ","), workload)
	}
	return &bench{
		program: program, scale: fullScale(), length: o.length, rounds: o.rounds, wanted: wanted,
		peers: available(names, log), dir: dir, log: log,
	}, nil
}

func runMain(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if err := settleAlone(); err != nil {
		return err
	}
	b, err := newBench(o, stderr)
	if err != nil {
		return err
	}
	if slices.Contains(b.peers, ganesha) {
		rpcbind, err := startRpcbind(ctx, stderr)
		if err != nil {
			return err
		}
		defer func() { _ = rpcbind.Cancel(); _ = rpcbind.Wait() }()
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	return b.conclude(o, args, stdout)
}

// conclude prints the table, draws it, and fails where ours or the yardsticks failed.
func (b *bench) conclude(o *options, args []string, stdout io.Writer) error {
	r := newReport(b.results)
	if err := r.print(stdout, b.failed); err != nil {
		return err
	}
	if o.svg != "" {
		if err := os.WriteFile(o.svg, r.draw("make bench BENCH='"+strings.Join(args, " ")+"'"), 0o644); err != nil {
			return err
		}
	}
	for f, err := range b.failed {
		if f.contender != goNFS && f.contender != ganesha {
			return fmt.Errorf("%s: %s: %w", f.contender, f.workload, err)
		}
	}
	return nil
}
