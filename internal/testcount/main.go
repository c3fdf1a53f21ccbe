// Command testcount runs go test with its own arguments and prints one line a
// package, all output of what failed, why tests were skipped, and at the end how many
// tests there were. Each subtest counts.
//
//	go run ./internal/testcount -race ./...
//
// Its exit status is go test's. NIXNFSD_REQUIRE=1 makes a test that cannot run
// fail; see internal/testenv.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/testevent"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testcount:", err)
		os.Exit(1)
	}
}

// run runs go test and prints its tests as they end.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	count := newCount(stdout)
	readErr := testevent.Read(events, count.add)
	if readErr != nil {
		_, _ = io.Copy(io.Discard, events) // go test must not hang on its pipe
	}
	testErr := cmd.Wait()
	fmt.Fprintf(stdout, "\n%d passed, %d failed, %d skipped\n", count.ended["pass"], count.ended["fail"], count.ended["skip"])
	return errors.Join(readErr, testErr)
}

// count prints what a person wants to see of the events and counts tests.
type count struct {
	out    io.Writer
	output map[key]*strings.Builder // of tests that have not ended
	ended  map[string]int           // tests, by action
}

// key names a test, or a package where the test is empty.
type key struct{ pkg, test string }

func newCount(out io.Writer) *count {
	return &count{out, map[key]*strings.Builder{}, map[string]int{}}
}

func (c *count) add(e testevent.Event) {
	at := key{e.Package, e.Test}
	switch {
	case e.Action == "build-output":
		fmt.Fprint(c.out, e.Output)
	case e.Action == "output":
		c.keep(at, e.Output)
	case e.Ended() && e.Test != "":
		c.ended[e.Action]++
		c.show(at, e.Action)
	case e.Ended():
		c.showPackage(at, e)
	}
}

func (c *count) keep(at key, text string) {
	if c.output[at] == nil {
		c.output[at] = &strings.Builder{}
	}
	c.output[at].WriteString(text)
}

// show prints the output of a test that did not pass, and forgets it.
func (c *count) show(at key, action string) {
	if text := c.output[at]; text != nil && action != "pass" {
		fmt.Fprint(c.out, text)
	}
	delete(c.output, at)
}

// showPackage prints the package's own line. Its output holds more only where it
// broke outside a test; and a test that had not ended then is in the rest.
func (c *count) showPackage(at key, e testevent.Event) {
	if e.Action == "fail" {
		for rest := range c.output {
			if rest.pkg == at.pkg {
				c.show(rest, e.Action)
			}
		}
	}
	delete(c.output, at)
	if e.Action == "skip" {
		return // no test files
	}
	fmt.Fprintf(c.out, "%s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
}
