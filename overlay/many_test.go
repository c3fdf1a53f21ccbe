package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/overlay"
)

const (
	manyLowers = 5
	manyPaths  = 100_000 // in each lower layer
	manyUpper  = 10_000  // in the upper
)

// manyLayers makes five lower layers with the names of a large store in each, and an upper
// with a few, in memory where there is such a place.
func manyLayers(t testing.TB) overlay.Options {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "many")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	o := overlay.Options{Upper: filepath.Join(dir, "upper")}
	makeMany(t, o.Upper, 0, manyUpper)
	var layers sync.WaitGroup
	for i := range manyLowers {
		lower := filepath.Join(dir, fmt.Sprint("lower", i))
		o.Lowers = append(o.Lowers, lower)
		layers.Go(func() { makeMany(t, lower, i+1, manyPaths) })
	}
	layers.Wait()
	return o
}

// makeMany makes names like a store's: of links, which take one system call each.
func makeMany(t testing.TB, dir string, layer, n int) {
	if err := os.MkdirAll(filepath.Join(dir, "store"), 0o755); err != nil {
		t.Error(err)
	}
	for i := range n {
		if err := os.Symlink("target", filepath.Join(dir, "store", manyName(layer, i))); err != nil {
			t.Error(err)
			return
		}
	}
}

func manyName(layer, i int) string {
	return fmt.Sprintf("%032d-package-%d-of-layer-%d", i*7919+layer, i, layer)
}

func openMany(t testing.TB, o overlay.Options) (fs *overlay.FS, store overlay.ID) {
	t.Helper()
	fs, err := overlay.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	var a, dir overlay.Attr
	if _, err := fs.Lookup(worker, fs.Root(), []byte("store"), &a, &dir); err != nil {
		t.Fatal(err)
	}
	return fs, a.ID
}

// listAll pages through a directory as a client does, and counts the names.
func listAll(fs *overlay.FS, dir overlay.ID) (names int, err error) {
	const page = 1000
	cookie := uint64(0)
	for {
		n := 0
		var a overlay.Attr
		eof, err := fs.Readdir(worker, dir, cookie, false, &a, func(e *overlay.DirEntry) bool {
			if n == page {
				return false
			}
			n++
			cookie = e.Cookie
			return true
		})
		names += n
		if err != nil || eof {
			return names, err
		}
	}
}

// TestListMemory has one client, and then eight at once, list half a million names
// out of five layers: they share one listing, so that many need no more than one.
func TestListMemory(t *testing.T) {
	o := manyLayers(t)
	one := memoryToList(t, o, 1)
	many := memoryToList(t, o, 8)
	if many > one+one/10 {
		t.Errorf("for 8 clients %d MiB are allocated, for one %d", many>>20, one>>20)
	}
}

// memoryToList gives what is allocated while clients list the store at once.
func memoryToList(t *testing.T, o overlay.Options, clients int) uint64 {
	t.Helper()
	fs, store := openMany(t, o)
	defer fs.Close()
	var before, after, kept runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			const want = manyLowers*manyPaths + manyUpper + 2
			if got, err := listAll(fs, store); err != nil || got != want {
				t.Errorf("%d names, %v, want %d", got, err, want)
			}
		})
	}
	all.Wait()
	runtime.ReadMemStats(&after)
	runtime.GC()
	runtime.ReadMemStats(&kept)
	took := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d clients: %d MiB allocated, %d MiB kept", clients, took>>20, (kept.HeapAlloc-min(before.HeapAlloc, kept.HeapAlloc))>>20)
	return took
}

// BenchmarkLookupManyLowers compares a look-up of a path in the last of five lower
// layers with one of a path in the upper.
func BenchmarkLookupManyLowers(b *testing.B) {
	fs, store := openMany(b, manyLayers(b))
	defer fs.Close()
	var a, dir overlay.Attr
	lookUp := func(layer int) time.Duration {
		names := make([][]byte, manyUpper)
		for i := range names {
			names[i] = []byte(manyName(layer, i))
		}
		start := time.Now()
		for _, name := range names {
			if _, err := fs.Lookup(worker, store, name, &a, &dir); err != nil {
				b.Fatal(err)
			}
		}
		return time.Since(start) / manyUpper
	}
	first := []time.Duration{lookUp(0), lookUp(manyLowers)}
	var upper, last, rounds time.Duration
	for b.Loop() {
		upper, last, rounds = upper+lookUp(0), last+lookUp(manyLowers), rounds+1
	}
	b.ReportMetric(float64(upper/rounds), "ns/upper")
	b.ReportMetric(float64(last/rounds), "ns/last")
	b.ReportMetric(float64(last)/float64(upper), "last/upper")
	b.ReportMetric(float64(first[1])/float64(first[0]), "last/upper-when-first-met")
}
