package nfs_test

import (
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// tree makes a bit of everything in a fresh directory.
func (w *world) tree() (dir nfsclient.FH) {
	w.t.Helper()
	dir = w.mkdir(w.root, "tree")
	w.put(dir, "file", "file")
	other := w.put(dir, "other", "other")
	w.must("link", linkErr(w.Link(w.t.Context(), other, dir, "hard")))
	w.symlink(dir, "symlink", "file")
	w.symlink(dir, "symlink2", "emptydir")
	w.mkdir(dir, "emptydir")
	w.mkdir(dir, "emptydir2")
	w.put(w.mkdir(w.mkdir(dir, "fulldir"), "sub"), "f", "deep")
	return dir
}

func linkErr(_ nfsclient.LinkRes, err error) error { return err }

func TestRename(t *testing.T) {
	const ok = nfsclient.OK
	tt := []struct {
		from, to string
		want     []nfsclient.Status
	}{
		{"file", "new", []nfsclient.Status{ok}},
		{"file", "other", []nfsclient.Status{ok}},
		{"file", "symlink", []nfsclient.Status{ok}},
		{"symlink", "file", []nfsclient.Status{ok}},
		{"symlink", "new", []nfsclient.Status{ok}},
		{"symlink2", "symlink", []nfsclient.Status{ok}},
		{"emptydir", "new", []nfsclient.Status{ok}},
		{"fulldir", "new", []nfsclient.Status{ok}},
		{"fulldir", "emptydir", []nfsclient.Status{ok}},
		{"emptydir", "emptydir2", []nfsclient.Status{ok}},
		{"emptydir", "fulldir", []nfsclient.Status{nfsclient.ErrNotEmpty, nfsclient.ErrExist}},
		// RFC 1813 §3.3.14 has EXIST for both; a kernel hands these on to its callers.
		{"file", "emptydir", []nfsclient.Status{nfsclient.ErrIsDir, nfsclient.ErrExist}},
		{"file", "fulldir", []nfsclient.Status{nfsclient.ErrIsDir, nfsclient.ErrExist}},
		{"symlink2", "emptydir", []nfsclient.Status{nfsclient.ErrIsDir, nfsclient.ErrExist}},
		{"emptydir", "file", []nfsclient.Status{nfsclient.ErrNotDir, nfsclient.ErrExist}},
		{"emptydir", "symlink2", []nfsclient.Status{nfsclient.ErrNotDir, nfsclient.ErrExist}},
		{"nothing", "new", []nfsclient.Status{nfsclient.ErrNoEnt}},
		{"nothing", "file", []nfsclient.Status{nfsclient.ErrNoEnt}},
		// Names of one object stay as they are (§3.3.14).
		{"file", "file", []nfsclient.Status{ok}},
		{"emptydir", "emptydir", []nfsclient.Status{ok}},
		{"other", "hard", []nfsclient.Status{ok}},
		{".", "new", []nfsclient.Status{nfsclient.ErrInval}},
		{"..", "new", []nfsclient.Status{nfsclient.ErrInval, nfsclient.ErrExist}},
		{"file", ".", []nfsclient.Status{nfsclient.ErrInval, nfsclient.ErrExist}},
		{"file", "..", []nfsclient.Status{nfsclient.ErrInval, nfsclient.ErrExist}},
	}
	for _, tt := range tt {
		t.Run(tt.from+" to "+tt.to, func(t *testing.T) {
			w := newWorld(t)
			dir := w.tree()
			before := w.list(dir)
			_, err := w.Rename(t.Context(), dir, tt.from, dir, tt.to)
			w.want("rename", err, tt.want...)
			after := w.list(dir)
			if tt.want[0] != ok || before[tt.from] == before[tt.to] {
				w.same("entries", after, before)
				return
			}
			if after[tt.to] != before[tt.from] || after[tt.from] != 0 {
				t.Errorf("got %v from %v", after, before)
			}
		})
	}
}

func TestRenameOtherDirectory(t *testing.T) {
	w := newWorld(t)
	dir := w.tree()
	to := w.mkdir(w.root, "to")
	for _, name := range []string{"file", "symlink", "fulldir", "emptydir"} {
		fh := w.lookup(dir, name)
		w.change("rename "+name, []nfsclient.FH{dir, to}, func() ([]nfsclient.Wcc, error) {
			r, err := w.Rename(t.Context(), dir, name, to, "moved-"+name)
			return []nfsclient.Wcc{r.From, r.To}, err
		}, nfsclient.OK)
		if got := w.lookup(to, "moved-"+name); got != fh {
			t.Errorf("%s has another handle", name)
		}
		_, err := w.Lookup(t.Context(), dir, name)
		w.want("lookup of the old name", err, nfsclient.ErrNoEnt)
	}
	full := w.lookup(to, "moved-fulldir")
	if got := w.lookup(full, ".."); got != to {
		t.Error(".. of a directory that moved is not where it went")
	}
	sub := w.lookup(full, "sub")
	for what, into := range map[string]nfsclient.FH{"itself": full, "its child": sub} {
		_, err := w.Rename(t.Context(), to, "moved-fulldir", into, "x")
		w.want("rename into "+what, err, nfsclient.ErrInval)
	}
	_, err := w.Rename(t.Context(), sub, "f", w.root, "to")
	w.want("file over an ancestor", err, nfsclient.ErrIsDir, nfsclient.ErrExist, nfsclient.ErrNotEmpty)
	_, err = w.Rename(t.Context(), full, "sub", w.root, "to")
	w.want("directory over an ancestor", err, nfsclient.ErrNotEmpty, nfsclient.ErrExist)
	_, err = w.Rename(t.Context(), w.root, "to", w.root, "to2")
	w.want("the parent itself", err, nfsclient.OK)
	if got := w.content(w.lookup(sub, "f")); got != "deep" {
		t.Errorf("deep below: got %q", got)
	}
}

// TestRenameOver: what was replaced is gone, and what replaced it is itself.
func TestRenameOver(t *testing.T) {
	w := newWorld(t)
	dir := w.tree()
	file, other := w.lookup(dir, "file"), w.lookup(dir, "other")
	_, err := w.Rename(t.Context(), dir, "file", dir, "other")
	w.must("rename", err)
	if got := w.content(file); got != "file" {
		t.Errorf("the moved file: got %q", got)
	}
	// It had a second name.
	if a := w.attr(other); a.Nlink != 1 || w.content(other) != "other" {
		t.Errorf("the replaced file: got %d links, content %q", a.Nlink, w.content(other))
	}
	_, err = w.Rename(t.Context(), dir, "other", dir, "hard")
	w.must("rename", err)
	_, err = w.Getattr(t.Context(), other)
	w.want("what has no name", err, nfsclient.ErrStale)
	empty := w.lookup(dir, "emptydir")
	_, err = w.Rename(t.Context(), dir, "fulldir", dir, "emptydir")
	w.must("rename", err)
	_, err = w.Create(t.Context(), empty, "x", nfsclient.Guarded, mode(0o644))
	w.want("create in a replaced directory", err, nfsclient.ErrStale, nfsclient.ErrNoEnt)
}

func TestRemove(t *testing.T) {
	tt := []struct {
		name          string
		remove, rmdir nfsclient.Status
	}{
		{"file", nfsclient.OK, nfsclient.ErrNotDir},
		{"hard", nfsclient.OK, nfsclient.ErrNotDir},
		{"symlink", nfsclient.OK, nfsclient.ErrNotDir},
		{"symlink2", nfsclient.OK, nfsclient.ErrNotDir},
		{"emptydir", nfsclient.ErrIsDir, nfsclient.OK},
		{"fulldir", nfsclient.ErrIsDir, nfsclient.ErrNotEmpty},
		{"nothing", nfsclient.ErrNoEnt, nfsclient.ErrNoEnt},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			dir := w.tree()
			rmdir := func() ([]nfsclient.Wcc, error) {
				wcc, err := w.Rmdir(t.Context(), dir, tt.name)
				return []nfsclient.Wcc{wcc}, err
			}
			remove := func() ([]nfsclient.Wcc, error) {
				wcc, err := w.Remove(t.Context(), dir, tt.name)
				return []nfsclient.Wcc{wcc}, err
			}
			before := w.list(dir)
			if tt.remove != nfsclient.OK {
				w.change("remove", []nfsclient.FH{dir}, remove, tt.remove)
			}
			if tt.rmdir != nfsclient.OK {
				w.change("rmdir", []nfsclient.FH{dir}, rmdir, tt.rmdir)
			}
			w.same("entries", w.list(dir), before)
			if tt.remove == nfsclient.OK {
				w.change("remove", []nfsclient.FH{dir}, remove, nfsclient.OK)
			}
			if tt.rmdir == nfsclient.OK {
				w.change("rmdir", []nfsclient.FH{dir}, rmdir, nfsclient.OK)
			}
			if tt.remove == nfsclient.OK || tt.rmdir == nfsclient.OK {
				delete(before, tt.name)
			}
			w.same("entries", w.list(dir), before)
		})
	}
}

func TestLink(t *testing.T) {
	w := newWorld(t)
	dir := w.tree()
	for _, name := range []string{"file", "symlink"} {
		fh := w.lookup(dir, name)
		w.change("link "+name, []nfsclient.FH{w.root}, func() ([]nfsclient.Wcc, error) {
			r, err := w.Link(t.Context(), fh, w.root, "second-"+name)
			a := w.attr(fh)
			w.same("attributes", r.Attr, &a)
			return []nfsclient.Wcc{r.Dir}, err
		}, nfsclient.OK)
		if got := w.lookup(w.root, "second-"+name); got != fh {
			t.Errorf("%s: the second name has another handle", name)
		}
		if got := w.attr(fh).Nlink; got != 2 {
			t.Errorf("%s: got %d links, want 2", name, got)
		}
	}
	file := w.lookup(dir, "file")
	_, err := w.Link(t.Context(), file, dir, "other")
	w.want("link over a file", err, nfsclient.ErrExist)
	_, err = w.Link(t.Context(), file, dir, "emptydir")
	w.want("link over a directory", err, nfsclient.ErrExist)
	_, err = w.Link(t.Context(), dir, w.root, "dirlink")
	w.want("link of a directory", err, nfsclient.ErrIsDir, nfsclient.ErrPerm, nfsclient.ErrInval)
	_, err = w.Link(t.Context(), file, file, "x")
	w.want("link into a file", err, nfsclient.ErrNotDir)
	w.remove(dir, []string{"file"})
	if got := w.content(file); got != "file" {
		t.Errorf("by the second name: got %q", got)
	}
}

// TestManyLinks: as many names as `nix-store --optimise` gives one file.
func TestManyLinks(t *testing.T) {
	w := newWorld(t)
	dir := w.mkdir(w.root, "links")
	fh := w.put(w.root, "f", "content")
	var ps []*nfsclient.Pending
	const n = 1000
	for i := range n {
		ps = append(ps, w.Queue(&nfsclient.LinkArgs{FH: fh, Dir: dir, Name: string(rune('a'+i%26)) + string(rune('0'+i/26))}))
	}
	w.Flush()
	for _, p := range ps {
		w.must("link", p.Into(t.Context(), &nfsclient.LinkRes{}))
	}
	if got := w.attr(fh).Nlink; got != n+1 {
		t.Errorf("got %d links, want %d", got, n+1)
	}
	id := w.attr(fh).Fileid
	for name, got := range w.list(dir) {
		if name != "." && name != ".." && got != id {
			t.Errorf("%q: fileid %d, want %d", name, got, id)
		}
	}
}
