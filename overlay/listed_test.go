package overlay_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// listed lists a directory with attributes and gives them by the names.
func (tr *tree) listed(dir overlay.ID) map[string]overlay.Attr {
	tr.t.Helper()
	attrs := map[string]overlay.Attr{}
	var a overlay.Attr
	eof, err := tr.Readdir(worker, dir, 0, true, &a, func(e *overlay.DirEntry) bool {
		if name := string(e.Name); name != "." && name != ".." && e.Attr != nil {
			attrs[name] = *e.Attr
		}
		return true
	})
	if err != nil || !eof {
		tr.t.Errorf("listing: eof %v, %v", eof, err)
	}
	return attrs
}

// Who lists a large directory has no others evicted: its files are in no memory, and
// their handles are good, over a restart too.
func TestListedAreNotInMemory(t *testing.T) {
	const files = 500
	for lowers := range 2 {
		t.Run(fmt.Sprint(lowers, " lowers"), func(t *testing.T) {
			tr := newTree(t, lowers)
			layers := append([]string{tr.options.Upper}, tr.options.Lowers...)
			for i := range files {
				mustWrite(t, filepath.Join(layers[i%len(layers)], "d", fmt.Sprint(i)), fmt.Sprint(i))
			}
			tr.open()
			before := tr.CountNodes()
			for _, when := range []string{"first", "again", "after a restart"} {
				d := tr.walk("d").ID
				listed := tr.listed(d)
				if n := tr.CountNodes() - before; n > files/10 {
					t.Errorf("%s: %d objects are in memory", when, n)
				}
				if a := tr.walk("d", "7"); a != listed["7"] {
					t.Errorf("%s: 7 is listed as %+v, looked up as %+v", when, listed["7"], a)
				}
				for i := range files {
					name := fmt.Sprint(i)
					if got := tr.read(listed[name].ID); got != name {
						t.Fatalf("%s: %s reads %q", when, name, got)
					}
				}
				tr.reopen()
				before = tr.CountNodes()
			}
		})
	}
}

// A file that listings of two directories told of, each by another name, is there until the last
// name has gone.
func TestListedByTwoNames(t *testing.T) {
	for lowers := range 2 {
		t.Run(fmt.Sprint(lowers, " lowers"), func(t *testing.T) {
			tr := newTree(t, lowers)
			layer := append([]string{tr.options.Upper}, tr.options.Lowers...)[lowers]
			mustWrite(t, filepath.Join(layer, "d", "f"), "data")
			mustMkdir(t, filepath.Join(layer, "e"))
			link(t, layer, "d/f", "e/g")
			tr.open()
			d, e := tr.walk("d").ID, tr.walk("e").ID
			f, g := tr.listed(d)["f"], tr.listed(e)["g"]
			if f != g {
				t.Fatalf("d/f is %+v, e/g %+v", f, g)
			}
			tr.remove(d, "f")
			if got := tr.read(f.ID); got != "data" {
				t.Errorf("read %q", got)
			}
			tr.reopen()
			if got := tr.read(f.ID); got != "data" {
				t.Errorf("after a restart: read %q", got)
			}
			if a := tr.listed(tr.walk("e").ID)["g"]; a.ID != f.ID || a.Nlink != 1 {
				t.Errorf("then e/g is %+v", a)
			}
			tr.remove(tr.walk("e").ID, "g")
			var a overlay.Attr
			wantErr(t, tr.Getattr(f.ID, &a), syscall.ESTALE)
		})
	}
}

// Whoever lists while files are renamed and get and lose names has handles that are good.
func TestListedBesideRenames(t *testing.T) {
	const files, turns = 20, 300
	tr := newTree(t, 0)
	tr.options.MaxNodes = 1
	for i := range files {
		mustWrite(t, filepath.Join(tr.options.Upper, "d", fmt.Sprint(i)), fmt.Sprint(i))
	}
	mustMkdir(t, filepath.Join(tr.options.Upper, "e"))
	tr.open()
	dirs := []overlay.ID{tr.walk("d").ID, tr.walk("e").ID}
	var stop atomic.Bool
	var movers, listers sync.WaitGroup
	for worker := range 2 {
		movers.Go(func() {
			for i := range turns {
				name := fmt.Sprint(2*(i%(files/2)) + worker)
				from, to := dirs[i/(files/2)%2], dirs[1-i/(files/2)%2]
				tr.mustRename(from, name, to, name)
				var a overlay.Attr
				var w overlay.Change
				if _, err := tr.Link(overlay.Caller{MayBlock: true}, tr.listed(to)[name].ID, from, []byte("l"+name), &a, &w); err != nil {
					t.Error(err)
				}
				tr.remove(from, "l"+name)
			}
		})
	}
	for _, dir := range dirs {
		listers.Go(func() {
			for !stop.Load() {
				for name, a := range tr.listed(dir) {
					var now overlay.Attr
					if err := tr.Getattr(a.ID, &now); err != nil || now.ID != a.ID {
						t.Errorf("%s was listed, and its handle gives %v, %v", name, now.ID, err)
					}
				}
			}
		})
	}
	movers.Wait()
	stop.Store(true)
	listers.Wait()
	tr.consistent(tr.Root(), "")
}

// Who must not wait gets a short listing that is in memory, and no other.
func TestListedWithoutWait(t *testing.T) {
	const few = 16
	tr := newTree(t, 1).open()
	d, w := overlay.Attr{}, overlay.Change{}
	if err := tr.Mkdir(worker, tr.Root(), []byte("d"), &overlay.SetAttr{Mode: 0o755, SetMode: true}, &d, &w); err != nil {
		t.Fatal(err)
	}
	for i := range few {
		tr.create(d.ID, fmt.Sprint(i), "")
	}
	list := func(c overlay.Caller, from uint64) (got []overlay.DirEntry, err error) {
		var self overlay.Attr
		_, err = tr.Readdir(c, d.ID, from, true, &self, func(e *overlay.DirEntry) bool {
			one := overlay.DirEntry{Name: slices.Clone(e.Name), Fileid: e.Fileid, Cookie: e.Cookie}
			if e.Attr != nil {
				one.Attr = new(*e.Attr)
			}
			got = append(got, one)
			return true
		})
		return got, err
	}
	inTime := worker
	inTime.MayBlock = false

	if _, err := list(inTime, 0); err != overlay.ErrWouldBlock {
		t.Errorf("not in memory: %v, want %v", err, overlay.ErrWouldBlock)
	}
	var want []overlay.DirEntry
	for range 2 { // the first one changes the directory's atime
		var err error
		if want, err = list(worker, 0); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := list(inTime, 0); err != nil || !cmp.Equal(got, want) {
		t.Errorf("in memory: %v, %s", err, cmp.Diff(want, got))
	}

	tr.create(d.ID, "one more", "")
	if _, err := list(inTime, 0); err != overlay.ErrWouldBlock {
		t.Errorf("changed since: %v, want %v", err, overlay.ErrWouldBlock)
	}
	want, err := list(worker, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := list(inTime, 0); err != overlay.ErrWouldBlock {
		t.Errorf("long: %v, want %v", err, overlay.ErrWouldBlock)
	}
	if got, err := list(inTime, want[2].Cookie); err != nil || !cmp.Equal(got, want[3:]) {
		t.Errorf("the end of a long one: %v, %s", err, cmp.Diff(want[3:], got))
	}
}
