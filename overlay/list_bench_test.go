package overlay_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// BenchmarkList lists a large directory with attributes, in pages like those of a client's: when it
// is met for the first time, again, and after a restart of the server.
func BenchmarkList(b *testing.B) {
	const files = 100_000
	o, fs, dir := benchTree(b, files, 0)
	run := func(when string, before func()) {
		b.Run(when, func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				before()
				start := processorTime(b)
				listPages(b, fs, dir, files)
				took += processorTime(b) - start
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N*files), "cpu-ns/entry")
		})
	}
	restart := func() {
		check(b, fs.Close())
		fs, dir = benchOpen(b, o)
	}
	forget := func() {
		check(b, fs.Close())
		check(b, os.RemoveAll(o.State))
		fs, dir = benchOpen(b, o)
	}
	run("first", forget)
	run("again", func() {})
	run("after a restart", restart)
	check(b, fs.Close())
}

// listPages lists a directory, a hundred names at once.
func listPages(b *testing.B, fs *overlay.FS, dir overlay.ID, files int) {
	var a overlay.Attr
	cookie, seen := uint64(0), 0
	for eof := false; !eof; {
		room := 100
		var err error
		eof, err = fs.Readdir(worker, dir, cookie, true, &a, func(e *overlay.DirEntry) bool {
			if room--; room < 0 {
				return false
			}
			cookie = e.Cookie
			seen++
			return true
		})
		check(b, err)
	}
	if seen != files+2 {
		b.Fatalf("%d entries, not %d", seen, files+2)
	}
}

// processorTime is what the process has taken, which is steadier than the time that passes.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
