package nfs_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

func TestHandlesSurviveRestart(t *testing.T) {
	w := newWorld(t)
	dir := w.tree()
	root, before := w.root, w.attr(w.root)
	handles, attrs := map[string]nfsclient.FH{}, map[string]nfsclient.Attr{}
	for name := range w.list(dir) {
		handles[name] = w.lookup(dir, name)
		attrs[name] = w.attr(handles[name])
	}
	for range 2 {
		w.restart()
		if w.root != root {
			t.Error("the root has another handle")
		}
		w.same("the root", w.attr(root), before)
		for name, fh := range handles {
			a, err := w.Getattr(t.Context(), fh)
			w.want(name+" by its old handle", err, nfsclient.OK)
			w.same(name, a, attrs[name])
			if got := w.lookup(dir, name); got != fh {
				t.Errorf("%s has another handle", name)
			}
		}
	}
	if got := w.content(handles["file"]); got != "file" {
		t.Errorf("got %q", got)
	}
	w.write(handles["file"], "FILE")
	w.create(handles["emptydir"], "new")
}

// TestHandlesSurviveRename: while its ancestors are renamed a handle stays good,
// with and without a restart in between.
func TestHandlesSurviveRename(t *testing.T) {
	w := newWorld(t)
	var dirs []nfsclient.FH
	at := w.root
	for i := range 5 {
		at = w.mkdir(at, fmt.Sprint("d", i))
		dirs = append(dirs, at)
	}
	fh := w.put(at, "f", "content")
	other := w.mkdir(w.root, "other")
	for i, restart := range []bool{false, true, false, true} {
		_, err := w.Rename(t.Context(), dirs[0], "d1", dirs[0], "tmp")
		w.must("rename", err)
		if restart {
			w.restart()
		}
		if got := w.content(fh); got != "content" {
			t.Errorf("after a rename: got %q", got)
		}
		_, err = w.Rename(t.Context(), dirs[0], "tmp", other, fmt.Sprint("moved", i))
		w.must("rename", err)
		if restart {
			w.restart()
		}
		w.write(fh, "CONTENT")
		w.write(fh, "content")
		_, err = w.Rename(t.Context(), other, fmt.Sprint("moved", i), dirs[0], "d1")
		w.must("rename", err)
	}
	if got := w.lookup(dirs[4], "f"); got != fh {
		t.Error("LOOKUP gives another handle")
	}
}

func TestHandleOfHardLink(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		a, b := w.mkdir(w.root, "a"), w.mkdir(w.root, "b")
		fh := w.put(a, "first", "content")
		w.must("link", linkErr(w.Link(t.Context(), fh, b, "second")))
		if restart {
			w.restart()
		}
		w.remove(a, []string{"first"})
		if got := w.content(fh); got != "content" {
			t.Errorf("restart %v: got %q", restart, got)
		}
		if restart {
			w.restart()
		}
		if got := w.attr(fh).Nlink; got != 1 {
			t.Errorf("restart %v: got %d links, want 1", restart, got)
		}
		w.remove(b, []string{"second"})
		_, err := w.Getattr(t.Context(), fh)
		w.want("the last name is gone", err, nfsclient.ErrStale)
	}
}

func TestHandlesOfRemoved(t *testing.T) {
	w := newWorld(t)
	dir := w.tree()
	var gone []nfsclient.FH
	for _, name := range []string{"file", "symlink"} {
		gone = append(gone, w.lookup(dir, name))
		w.remove(dir, []string{name})
	}
	gone = append(gone, w.lookup(dir, "emptydir"))
	_, err := w.Rmdir(t.Context(), dir, "emptydir")
	w.must("rmdir", err)
	for _, restart := range []bool{false, true} {
		if restart {
			w.restart()
		}
		for i, fh := range gone {
			_, err := w.Getattr(t.Context(), fh)
			w.want(fmt.Sprint("object ", i), err, nfsclient.ErrStale)
		}
		_, err := w.Lookup(t.Context(), gone[2], "x")
		w.want("lookup in a removed directory", err, nfsclient.ErrStale)
		_, err = w.Create(t.Context(), gone[2], "x", nfsclient.Unchecked, mode(0o644))
		w.want("create in a removed directory", err, nfsclient.ErrStale)
		_, err = w.Readdir(t.Context(), gone[2], 0, nfsclient.Verf{}, 4096)
		w.want("listing of a removed directory", err, nfsclient.ErrStale)
	}
}

// TestHandlesAreNotReused: one name and most likely one inode over and over; no
// old handle ever leads to a new file.
func TestHandlesAreNotReused(t *testing.T) {
	const n = 500
	w := newWorld(t)
	seen := map[nfsclient.FH]bool{}
	var old []nfsclient.FH
	for i := range n {
		fh := w.put(w.root, "f", fmt.Sprint("content ", i))
		if seen[fh] {
			t.Fatalf("file %d has the handle of an earlier one", i)
		}
		seen[fh] = true
		for range min(3, len(old)) {
			w.checkGone(old[rand.IntN(len(old))])
		}
		old = append(old, fh)
		if i == n/2 {
			w.restart()
			w.checkGone(old[i-1])
		}
		w.remove(w.root, []string{"f"})
	}
	w.restart()
	w.put(w.root, "f", "last")
	for _, fh := range old {
		w.checkGone(fh)
	}
}

func (w *world) checkGone(fh nfsclient.FH) {
	w.t.Helper()
	r, err := w.Read(w.t.Context(), fh, 0, 100)
	w.want("read by the handle of a removed file", err, nfsclient.ErrStale)
	if len(r.Data) > 0 {
		w.t.Fatalf("it reads %q", r.Data)
	}
}

// TestForgedHandles: no bit of a handle can be changed.
func TestForgedHandles(t *testing.T) {
	w := newWorld(t)
	fh := w.put(w.root, "f", "content")
	for bit := range len(fh) * 8 {
		b := []byte(fh)
		b[bit/8] ^= 1 << (bit % 8)
		_, err := w.Getattr(t.Context(), nfsclient.FH(b))
		w.want(fmt.Sprint("bit ", bit), err, nfsclient.ErrBadHandle, nfsclient.ErrStale)
	}
	for n := range len(fh) {
		_, err := w.Getattr(t.Context(), fh[:n])
		w.want(fmt.Sprint(n, " bytes"), err, nfsclient.ErrBadHandle, nfsclient.ErrStale)
	}
	// Another server's handles are worth nothing here.
	other := newWorld(t)
	_, err := w.Getattr(t.Context(), other.root)
	w.want("another server's root", err, nfsclient.ErrBadHandle, nfsclient.ErrStale)
}

// TestFileids: distinct objects have distinct fileids, which a restart keeps.
func TestFileids(t *testing.T) {
	w := newWorld(t)
	dir := w.tree()
	w.fill(dir, "f%d", 1000)
	ids := w.list(dir)
	seen := map[uint64]string{}
	for name, id := range ids {
		if other, ok := seen[id]; ok && other != "hard" && other != "other" {
			t.Errorf("%q and %q have fileid %d", name, other, id)
		}
		seen[id] = name
	}
	w.restart()
	w.same("fileids after a restart", w.list(dir), ids)
	_, err := w.Rename(t.Context(), dir, "file", dir, "renamed")
	w.must("rename", err)
	if got := w.list(dir)["renamed"]; got != ids["file"] {
		t.Errorf("a rename made fileid %d of %d", got, ids["file"])
	}
}
