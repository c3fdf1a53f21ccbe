package soak

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

var soakTime = flag.Duration("soak.time", 10*time.Second, "how long the server is worked")

// samplesTaken is how many samples there are, whatever the time.
const samplesTaken = 200

func TestSoak(t *testing.T) {
	dir := t.TempDir()
	fillLower(t, dir)
	s := startServed(t, dir)
	all := startWorkers(t, s.addr)
	ctx, cancel := context.WithTimeout(t.Context(), *soakTime)
	defer cancel()
	var working sync.WaitGroup
	for _, w := range all {
		working.Go(func() {
			if err := w.work(ctx); err != nil {
				t.Errorf("worker %d, %s: %v", w.id, w.doing, err)
				cancel()
			}
		})
	}
	samples := s.take(ctx)
	working.Wait()
	t.Logf("steps: %v", count(all))
	s.end()
	if t.Failed() {
		return
	}
	isFlat(t, "resident memory, KiB", samples, func(s sample) int { return s.RSS >> 10 }, 16<<10)
	isFlat(t, "goroutines", samples, func(s sample) int { return s.Goroutines }, 20)
	isFlat(t, "open files", samples, func(s sample) int { return s.Files }, 50)
}

// count adds up what all have done.
func count(all []*worker) map[string]int {
	sum := map[string]int{}
	for _, w := range all {
		for name, n := range w.done {
			sum[name] += n
		}
	}
	return sum
}

// startWorkers has all workers ready, at once.
func startWorkers(t *testing.T, addr string) (all []*worker) {
	t.Helper()
	var starting sync.WaitGroup
	for i := range workers {
		w := newWorker(addr, i)
		all = append(all, w)
		starting.Go(func() {
			if err := w.within(w.begin); err != nil {
				t.Errorf("worker %d, beginning: %v", i, err)
			}
		})
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return all
}

// take takes samples until the time is over.
func (s *served) take(ctx context.Context) (all []sample) {
	tick := time.NewTicker(*soakTime / samplesTaken)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return all
		case <-tick.C:
			all = append(all, s.sample())
		}
	}
}

// isFlat compares the medians of the second and the last fifth. What varies may be a fifth
// more, or slack.
func isFlat(t *testing.T, what string, samples []sample, of func(sample) int, slack int) {
	t.Helper()
	var fifths [5]int
	for i := range fifths {
		fifths[i] = median(samples[i*len(samples)/5:(i+1)*len(samples)/5], of)
	}
	t.Logf("%s: the medians of the fifths are %v", what, fifths)
	if was, is := fifths[1], fifths[4]; is > was+max(was/5, slack) {
		t.Errorf("%s: the median is %d at the end, was %d", what, is, was)
	}
}

func median(samples []sample, of func(sample) int) int {
	if len(samples) == 0 {
		return 0
	}
	var values []int
	for _, s := range samples {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

const (
	lowerDirs  = 16
	lowerFiles = 10 // in each
	lowerSize  = 20_000
)

// fillLower makes the store's directories, and files in the lower one.
func fillLower(t *testing.T, dir string) {
	t.Helper()
	must(t, errors.Join(os.Mkdir(filepath.Join(dir, "upper"), 0o755), os.Mkdir(filepath.Join(dir, "state"), 0o755)))
	for d := range lowerDirs {
		sub := filepath.Join(dir, "lower", lowerDir(d))
		must(t, os.MkdirAll(sub, 0o755))
		for f := range lowerFiles {
			must(t, os.WriteFile(filepath.Join(sub, fileName(f)), content(lowerDir(d)+fileName(f), lowerSize), 0o644))
		}
	}
}

func lowerDir(i int) string { return fmt.Sprint("lower-", i) }
func fileName(i int) string { return fmt.Sprint("file-", i) }

// content is what a file has that is known by a word.
func content(word string, size int) []byte {
	b := make([]byte, 0, size+len(word))
	for len(b) < size {
		b = append(b, word...)
	}
	return b[:size]
}
