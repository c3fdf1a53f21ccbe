package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// fewNodes is how many objects are in memory where tests want them to go again.
const fewNodes = 8

// Handles lead to the same objects when their nodes were evicted, and also after a rename of
// any directory above, a copy-up and a restart.
func TestHandlesOfEvicted(t *testing.T) {
	for lowers := range 3 {
		t.Run(fmt.Sprint(lowers, " lowers"), func(t *testing.T) {
			tr := newTree(t, lowers)
			tr.options.MaxNodes = fewNodes
			layers := append([]string{tr.options.Upper}, tr.options.Lowers...)
			for i := range 40 {
				dir := filepath.Join(layers[i%len(layers)], "a", fmt.Sprint("b", i%4))
				mustWrite(t, filepath.Join(dir, fmt.Sprint("f", i)), fmt.Sprint(i))
			}
			mustWrite(t, filepath.Join(layers[lowers], "a", "b0", "one"), "linked")
			link(t, layers[lowers], "a/b0/one", "a/b1/other")
			tr.open()
			ids := tr.tell(tr.Root(), "", map[string]overlay.ID{})
			check := func(when string) {
				t.Helper()
				for path, id := range ids {
					var a overlay.Attr
					if err := tr.Getattr(id, &a); err != nil || a.ID != id {
						t.Fatalf("%s, %s is %v, %v", when, path, a.ID, err)
					}
				}
				if n := tr.CountNodes(); n > 6*fewNodes {
					t.Errorf("%s, %d nodes are in memory", when, n)
				}
			}
			check("told")
			tr.mustRename(tr.walk("a").ID, "b2", tr.Root(), "c")
			tr.mustRename(tr.Root(), "a", tr.Root(), "d")
			check("renamed")
			for path, id := range ids {
				var w overlay.Change
				mode := overlay.SetAttr{SetMode: true, Mode: 0o700}
				if err := tr.Setattr(worker, id, &mode, &w); err != nil {
					t.Fatalf("%s: %v", path, err)
				}
			}
			check("copied up")
			tr.reopen()
			check("after a restart")
			if again := tr.tell(tr.Root(), "", map[string]overlay.ID{}); len(again) != len(ids) {
				t.Errorf("there are %d names, were %d", len(again), len(ids))
			}
			tr.consistent(tr.Root(), "")
		})
	}
}

func link(t *testing.T, layer, from, to string) {
	t.Helper()
	if err := os.Link(filepath.Join(layer, from), filepath.Join(layer, to)); err != nil {
		t.Fatal(err)
	}
}

// tell looks everything in a directory up, and gives the IDs by the paths.
func (tr *tree) tell(dir overlay.ID, path string, ids map[string]overlay.ID) map[string]overlay.ID {
	tr.t.Helper()
	for _, name := range tr.list(dir) {
		var a, d overlay.Attr
		if _, err := tr.Lookup(worker, dir, []byte(name), &a, &d); err != nil {
			tr.t.Fatal(err)
		}
		ids[path+"/"+name] = a.ID
		if a.IsDir() {
			tr.tell(a.ID, path+"/"+name, ids)
		}
	}
	return ids
}

// A file whose node was evicted is known by all its names: each of them may go, and the
// handle works until the last does.
func TestEvictedLinks(t *testing.T) {
	const names = 300
	tr := newTree(t, 0)
	tr.options.MaxNodes = fewNodes
	for i := range 4 * fewNodes {
		mustWrite(t, filepath.Join(tr.options.Upper, "crowd", fmt.Sprint(i)), "")
	}
	tr.open()
	f := tr.create(tr.Root(), "f", "f")
	var a overlay.Attr
	var w overlay.Change
	for i := range names {
		if _, err := tr.Link(worker, f.ID, tr.Root(), fmt.Appendf(nil, "l%d", i), &a, &w); err != nil {
			t.Fatal(err)
		}
	}
	tr.remove(tr.Root(), "f")
	for i := range names {
		tr.crowd(4 * fewNodes)
		if got := tr.read(f.ID); got != "f" {
			t.Fatalf("read %q", got)
		}
		tr.crowd(4 * fewNodes)
		tr.remove(tr.Root(), fmt.Sprint("l", i))
	}
	wantErr(t, tr.Getattr(f.ID, &a), syscall.ESTALE)
	tr.crowd(4 * fewNodes)
	wantErr(t, tr.Getattr(f.ID, &a), syscall.ESTALE)
}

// crowd has the server meet other objects.
func (tr *tree) crowd(objects int) {
	tr.t.Helper()
	for i := range objects {
		tr.walk("crowd", fmt.Sprint(i))
	}
}

// Of many who use an object while it is evicted again and again, all have the same.
func TestEvictedBesideCalls(t *testing.T) {
	tr := newTree(t, 1)
	tr.options.MaxNodes = 1
	for i := range 20 {
		mustWrite(t, filepath.Join(tr.options.Lowers[0], "d", fmt.Sprint(i)), "0")
	}
	tr.open()
	d := tr.walk("d").ID
	ids := tr.tell(d, "", map[string]overlay.ID{})
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 400 {
				name := fmt.Sprint((i + 5*worker) % 20)
				var a, dir overlay.Attr
				var w overlay.Change
				id := ids["/"+name]
				if _, err := tr.Lookup(overlay.Caller{MayBlock: true}, d, []byte(name), &a, &dir); err != nil || a.ID != id {
					t.Errorf("%s is %v, was %v, %v", name, a.ID, id, err)
				}
				if i%7 == worker {
					if err := tr.Write(overlay.Caller{MayBlock: true}, id, []byte("1"), 0, overlay.Unstable, &w); err != nil {
						t.Error(err)
					}
				}
				if err := tr.Getattr(id, &a); err != nil || a.ID != id {
					t.Errorf("the handle of %s gives %v, %v", name, a.ID, err)
				}
			}
		})
	}
	all.Wait()
	tr.consistent(tr.Root(), "")
}

// A merged directory that was not in memory when a lower layer changed shows a refresh
// in its times, as others do.
func TestEvictedShowsRefresh(t *testing.T) {
	tr := newTree(t, 2)
	tr.options.MaxNodes = 1
	mustWrite(t, filepath.Join(tr.options.Lowers[0], "d", "f"), "f")
	mustWrite(t, filepath.Join(tr.options.Lowers[1], "e", "g"), "g")
	tr.open()
	d := tr.walk("d")
	tr.wantNames(d.ID, "f")
	for range 10 {
		tr.walk("e", "g")
	}
	mustWrite(t, filepath.Join(tr.options.Lowers[1], "d", "more"), "more")
	tr.mustRefresh()
	tr.wantNames(d.ID, "f", "more")
	if a := tr.walk("d"); a.Mtime == d.Mtime || a.ID != d.ID {
		t.Errorf("d was %+v, is %+v", d, a)
	}
}

// Directories that several layers have are evicted as others are, and show the same times
// when they are in memory again: those of a refresh, too, that may have changed them.
func TestEvictedMerged(t *testing.T) {
	const dirs = 100
	tr := newTree(t, 1)
	tr.options.MaxNodes = fewNodes
	for i := range dirs {
		name := fmt.Sprint("d", i)
		mustWrite(t, filepath.Join(tr.options.Upper, name, "up"), "")
		mustWrite(t, filepath.Join(tr.options.Lowers[0], name, "low"), "")
	}
	tr.open()
	var before, after [dirs]overlay.Attr
	visit := func(when string, attrs *[dirs]overlay.Attr) {
		t.Helper()
		for pass := range 3 {
			for i := range dirs {
				a := tr.walk(fmt.Sprint("d", i))
				a.Atime = overlay.Time{}
				if pass == 2 && attrs[i] != a { // in the first some were in memory all the time
					t.Fatalf("%s, d%d was %+v, is %+v", when, i, attrs[i], a)
				}
				attrs[i] = a
				tr.wantNames(a.ID, "low", "up")
			}
		}
		if n := tr.CountNodes(); n > 6*fewNodes {
			t.Errorf("%s, %d nodes are in memory", when, n)
		}
	}
	visit("before", &before)
	tr.mustRefresh()
	visit("after a refresh", &after)
	for i := range dirs {
		if before[i].ID != after[i].ID {
			t.Errorf("d%d was %v, is %v", i, before[i].ID, after[i].ID)
		}
	}
}
