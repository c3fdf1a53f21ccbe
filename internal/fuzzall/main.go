// Command fuzzall runs every fuzz target of the module for a while, several at a time,
// and prints one line for each. What fails is printed whole, with the input, which go test
// has put into the package's testdata: commit it with what mends the failure.
//
//	go run ./internal/fuzzall -time 1m
//	go run ./internal/fuzzall -time 1h ./nfs ./overlay
//
// A target's time ends with an interrupt, as for somebody at a terminal: go test's own limit
// can end a target as failed that has found nothing (golang.org/issue/75804).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func main() {
	limit := flag.Duration("time", time.Minute, "how long each target runs")
	jobs := flag.Int("jobs", runtime.NumCPU(), "how many targets run at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *limit, *jobs, flag.Args(), os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzzall:", err)
		os.Exit(1)
	}
}

// run fuzzes with all targets of the packages, ./... when there are none.
func run(ctx context.Context, limit time.Duration, jobs int, packages []string, out io.Writer) error {
	dir, err := os.MkdirTemp("", "fuzzall")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	targets, err := find(ctx, dir, packages)
	if err != nil {
		return err
	}
	start := time.Now()
	failed := fuzzAll(ctx, targets, limit, jobs, out)
	fmt.Fprintf(out, "\n%d fuzz targets for %v each, %d failed, %.0f s in all\n", len(targets), limit, len(failed), time.Since(start).Seconds())
	return errors.Join(append(failed, ctx.Err())...)
}

// fuzzAll runs the targets, jobs at a time, and gives what failed.
func fuzzAll(ctx context.Context, targets []target, limit time.Duration, jobs int, out io.Writer) (failed []error) {
	var mu sync.Mutex // guards failed and out
	var running sync.WaitGroup
	turns := make(chan struct{}, jobs)
	for _, t := range targets {
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			text, err := t.fuzz(ctx, limit)
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintln(out, text)
			if err != nil {
				failed = append(failed, err)
			}
		})
	}
	running.Wait()
	return failed
}
