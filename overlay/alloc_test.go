package overlay_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// The calls that most of the load is made of make no garbage, whatever the layers.
func TestHotCallsDoNotAllocate(t *testing.T) {
	for lowers := range 2 {
		tr := newTree(t, lowers)
		mustWrite(t, append([]string{tr.options.Upper}, tr.options.Lowers...)[lowers]+"/d/f", "data")
		tr.open()
		d, f := tr.walk("d"), tr.walk("d", "f")
		name, b := []byte("f"), make([]byte, 4)
		var a, dir overlay.Attr
		var w overlay.Change
		calls := map[string]func() error{
			"getattr": func() error { return tr.Getattr(f.ID, &a) },
			"lookup":  func() error { _, err := tr.Lookup(worker, d.ID, name, &a, &dir); return err },
			"read":    func() error { _, _, err := tr.Read(worker, f.ID, b, 0, &a); return err },
		}
		if lowers == 0 {
			calls["write"] = func() error { return tr.Write(worker, f.ID, b, 0, overlay.Unstable, &w) }
		}
		for call, do := range calls {
			t.Run(fmt.Sprint(call, " with ", lowers, " lowers"), func(t *testing.T) {
				got := testing.AllocsPerRun(100, func() {
					if err := do(); err != nil {
						t.Fatal(err)
					}
				})
				if got != 0 {
					t.Errorf("got %v allocations", got)
				}
			})
		}
	}
}

// To list many small directories, or to remove them, makes little garbage: what the
// kernel's answers are read into is used again.
func TestSmallListingsMakeLittleGarbage(t *testing.T) {
	const (
		rounds = 200
		most   = 56 << 10 // bytes each: less than a buffer, also where the race detector has pools lose a quarter
	)
	tr := newTree(t, 1)
	mustMkdir(t, tr.options.Lowers[0]+"/d")
	tr.open()
	var a overlay.Attr
	var w overlay.Change
	name := []byte("new")
	measure := func(what string, do func() error) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		if got := (after.TotalAlloc - before.TotalAlloc) / rounds; got > most {
			t.Errorf("%s: %d bytes are allocated each time, want at most %d", what, got, most)
		}
	}
	measure("make and remove a directory", func() error {
		if err := tr.Mkdir(worker, tr.Root(), name, &overlay.SetAttr{}, &a, &w); err != nil {
			return err
		}
		return tr.Rmdir(worker, tr.Root(), name, &w)
	})
	measure("list a directory that changed", func() error {
		tr.create(tr.Root(), "f", "")
		_, err := tr.Readdir(worker, tr.Root(), 0, true, &a, func(*overlay.DirEntry) bool { return true })
		return errors.Join(err, tr.Remove(worker, tr.Root(), []byte("f"), &w))
	})
}
