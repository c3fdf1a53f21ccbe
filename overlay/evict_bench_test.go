package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// benchTree opens an overlay with files in one directory, in memory where there is such a
// place.
func benchTree(b *testing.B, files, maxNodes int) (o overlay.Options, fs *overlay.FS, dir overlay.ID) {
	b.Helper()
	base, err := os.MkdirTemp("/dev/shm", "bench")
	if err != nil {
		base = b.TempDir()
	}
	b.Cleanup(func() { os.RemoveAll(base) })
	o = overlay.Options{Upper: filepath.Join(base, "upper"), State: filepath.Join(base, "state"), MaxNodes: maxNodes}
	if err := os.MkdirAll(filepath.Join(o.Upper, "d"), 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range files {
		if err := os.WriteFile(filepath.Join(o.Upper, "d", fmt.Sprint(i)), nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	fs, dir = benchOpen(b, o)
	return o, fs, dir
}

func benchOpen(b *testing.B, o overlay.Options) (fs *overlay.FS, dir overlay.ID) {
	b.Helper()
	fs, err := overlay.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	return fs, benchLookup(b, fs, fs.Root(), "d")
}

func benchLookup(b *testing.B, fs *overlay.FS, dir overlay.ID, name string) overlay.ID {
	var a, da overlay.Attr
	if _, err := fs.Lookup(worker, dir, []byte(name), &a, &da); err != nil {
		b.Fatal(err)
	}
	return a.ID
}

// BenchmarkHot asks for what is in memory.
func BenchmarkHot(b *testing.B) {
	_, fs, dir := benchTree(b, 1, 0)
	defer fs.Close()
	id, name := benchLookup(b, fs, dir, "0"), []byte("0")
	var a, da overlay.Attr
	b.Run("getattr", func(b *testing.B) {
		for b.Loop() {
			if err := fs.Getattr(id, &a); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("lookup", func(b *testing.B) {
		for b.Loop() {
			if _, err := fs.Lookup(worker, dir, name, &a, &da); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMeet looks up what is met for the first time, and what was evicted since.
func BenchmarkMeet(b *testing.B) {
	const files = 100_000
	_, fs, dir := benchTree(b, files, 1000)
	defer fs.Close()
	for _, when := range []string{"first", "again"} {
		b.Run(when, func(b *testing.B) {
			for range b.N {
				for i := range files {
					benchLookup(b, fs, dir, fmt.Sprint(i))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*files), "ns/lookup")
		})
	}
}

// BenchmarkRestart opens a store of which 100,000 paths are known, and uses a handle.
func BenchmarkRestart(b *testing.B) {
	const files = 100_000
	o, fs, dir := benchTree(b, files, 0)
	var last overlay.ID
	for i := range files {
		last = benchLookup(b, fs, dir, fmt.Sprint(i))
	}
	for b.Loop() {
		if err := fs.Close(); err != nil {
			b.Fatal(err)
		}
		var err error
		if fs, err = overlay.Open(o); err != nil {
			b.Fatal(err)
		}
		var a overlay.Attr
		if err := fs.Getattr(last, &a); err != nil {
			b.Fatal(err)
		}
	}
	fs.Close()
}
