package overlay

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// openThree opens an overlay with three lower directories that hold the given files.
func openThree(t *testing.T, files ...string) *FS {
	t.Helper()
	dir := t.TempDir()
	o := Options{Upper: dir + "/upper", Lowers: []string{dir + "/1", dir + "/2", dir + "/3"}}
	for _, d := range append(o.Lowers, o.Upper) {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f), []byte(f), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fs, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

// sizeOf is the size of what a name in the root stands for; it is that of its path in the layers.
func (fs *FS) sizeOf(name string) (uint64, error) {
	var a, dir Attr
	_, err := fs.Lookup(blocking, fs.Root(), []byte(name), &a, &dir)
	return a.Size, err
}

// lookUpOften looks names up until an index is worth its while, and waits for it.
func (fs *FS) lookUpOften(t *testing.T) {
	t.Helper()
	for i := range belowWorth {
		if _, err := fs.sizeOf(fmt.Sprint("absent-", i)); err != syscall.ENOENT {
			t.Fatal(err)
		}
	}
	fs.belows.work.Wait()
}

// nextIndex looks names up until there is an index that is not old: of what has just been
// changed none is made.
func (fs *FS) nextIndex(t *testing.T, old *belowIndex) *belowIndex {
	t.Helper()
	for t.Context().Err() == nil {
		fs.lookUpOften(t)
		if index := fs.root.dir.below.index.Load(); index != nil && index != old {
			return index
		}
	}
	return nil
}

// With an index a directory shows what it shows without.
func TestBelowIndex(t *testing.T) {
	fs := openThree(t, "1/a", "2/a-of-2", "3/a-of-3", "1/all", "2/all", "3/all", "3/removed", "upper/all-of-upper")
	var w Change
	if err := fs.Remove(blocking, fs.Root(), []byte("removed"), &w); err != nil {
		t.Fatal(err)
	}
	path := func(layer int, name string) string { return filepath.Join(fs.layers[layer].path, name) }
	if err := os.WriteFile(path(2, "all"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{"a": 3, "a-of-2": 8, "a-of-3": 8, "all": 5, "all-of-upper": 18}
	check := func(when string) {
		t.Helper()
		for name, size := range want {
			if got, err := fs.sizeOf(name); err != nil || got != size {
				t.Errorf("%s: %s has %d bytes, %v, want %d", when, name, got, err, size)
			}
		}
		for _, name := range []string{"removed", "absent"} {
			if _, err := fs.sizeOf(name); err != syscall.ENOENT {
				t.Errorf("%s: %s: %v, want ENOENT", when, name, err)
			}
		}
	}
	check("without an index")
	index := fs.nextIndex(t, nil)
	if len(index.first) != 5 || fs.belows.names.Load() != 5 {
		t.Fatalf("the index is %+v, %d names in all", index, fs.belows.names.Load())
	}
	check("with an index")

	// A change behind the server shows when its time is over, or at a refresh.
	if err := os.WriteFile(path(3, "late"), []byte("late"), 0o644); err != nil {
		t.Fatal(err)
	}
	want["late"] = 4
	index.checked.Store(fs.belows.clock() - int64(2*belowTrust))
	check("after a change")
	if got := fs.nextIndex(t, index); len(got.first) != 6 || fs.belows.names.Load() != 6 {
		t.Errorf("the index after a change is %+v, %d names in all", got, fs.belows.names.Load())
	}
	check("with the index made anew")
	if err := os.Remove(path(1, "all")); err != nil {
		t.Fatal(err)
	}
	want["all"] = 7
	if _, err := fs.Refresh(); err != nil {
		t.Fatal(err)
	}
	check("after a refresh")
}

// Where there is no room for an index, look-ups do without.
func TestBelowIndexFull(t *testing.T) {
	fs := openThree(t, "3/f")
	fs.belows.names.Store(maxBelow)
	fs.lookUpOften(t)
	if index := fs.root.dir.below.index.Load(); index != nil || fs.belows.names.Load() != maxBelow {
		t.Errorf("the index is %+v, %d names in all", index, fs.belows.names.Load())
	}
	if got, err := fs.sizeOf("f"); err != nil || got != 3 {
		t.Errorf("f has %d bytes, %v", got, err)
	}
}

// What a refresh made visible is not hidden by an index of the layers from before it.
func TestIndexFromBeforeRefresh(t *testing.T) {
	fs := openThree(t)
	for i, layer := range fs.layers {
		if i != 1 {
			if err := os.Mkdir(layer.path+"/d", 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	var a, dir Attr
	id := lookupRoot(t, fs, "d").ID
	n, err := fs.node(id)
	if err != nil {
		t.Fatal(err)
	}
	old, err := fs.stackOf(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(fs.layers[1].path+"/d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fs.layers[1].path+"/d/x", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Refresh(); err != nil {
		t.Fatal(err)
	}
	for n.dir.below.index.Load() == nil && t.Context().Err() == nil { // until what it is of is old enough
		fs.buildBelow(n, old)
	}
	if _, err := fs.Lookup(blocking, id, []byte("x"), &a, &dir); err != nil {
		t.Error(err)
	}
}

// An index of a directory that went while it was made does not count.
func TestIndexOfRemoved(t *testing.T) {
	fs := openThree(t)
	for _, layer := range fs.layers[1:] {
		if err := os.Mkdir(layer.path+"/d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(layer.path+"/d/x", nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n, err := fs.node(lookupRoot(t, fs, "d").ID)
	if err != nil {
		t.Fatal(err)
	}
	s, err := fs.stackOf(n)
	if err != nil {
		t.Fatal(err)
	}
	for n.dir.below.index.Load() == nil && t.Context().Err() == nil { // until what it is of is old enough
		fs.buildBelow(n, s)
	}
	fs.nodes.remove(n) // as forget does, and then:
	fs.setBelow(n, nil)
	fs.buildBelow(n, s)
	if got := fs.belows.names.Load(); got != 0 {
		t.Errorf("%d names are counted", got)
	}
}
