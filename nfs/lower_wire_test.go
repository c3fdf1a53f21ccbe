package nfs_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// layer makes a directory of entries: "dir/", "file=content", "link->target",
// "hard==other".
func layer(t *testing.T, dir string, entries ...string) {
	t.Helper()
	makeDirs(t, dir)
	for _, e := range entries {
		var err error
		name, rest, _ := strings.Cut(e, "=")
		link, target, isLink := strings.Cut(e, "->")
		switch {
		case strings.HasSuffix(e, "/"):
			err = os.MkdirAll(filepath.Join(dir, e), 0o755)
		case isLink:
			err = os.Symlink(target, filepath.Join(dir, link))
		case strings.HasPrefix(rest, "="):
			err = os.Link(filepath.Join(dir, rest[1:]), filepath.Join(dir, name))
		default:
			err = os.WriteFile(filepath.Join(dir, name), []byte(rest), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// newLayered serves an empty upper over lowers. At the end of the test the lowers
// have to be as they were.
func newLayered(t *testing.T, lowers ...[]string) *world {
	t.Helper()
	dir := t.TempDir()
	o := overlay.Options{Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work"), State: filepath.Join(dir, "state")}
	makeDirs(t, o.Upper, o.State)
	for i, entries := range lowers {
		l := filepath.Join(dir, fmt.Sprint("lower", i))
		layer(t, l, entries...)
		o.Lowers = append(o.Lowers, l)
	}
	var before []string
	for _, l := range o.Lowers {
		before = append(before, describe(t, l))
	}
	t.Cleanup(func() { // runs when the server has stopped
		for i, l := range o.Lowers {
			if got := describe(t, l); got != before[i] {
				t.Errorf("lower %d changed from\n%sto\n%s", i, before[i], got)
			}
		}
	})
	return startWorld(t, o)
}

// describe tells all of a tree but its access times.
func describe(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			content, err = os.Readlink(path)
		case d.Type().IsRegular():
			var data []byte
			data, err = os.ReadFile(path)
			content = fmt.Sprintf("%x", sha256.Sum256(data))
		}
		fmt.Fprintln(&b, strings.TrimPrefix(path, dir), info.Mode(), info.Size(), info.ModTime().UnixNano(), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// walk looks a path up.
func (w *world) walk(path string) nfsclient.FH {
	w.t.Helper()
	at := w.root
	for name := range strings.SplitSeq(path, "/") {
		at = w.lookup(at, name)
	}
	return at
}

// names are the sorted names in a directory, without "." and "..".
func (w *world) names(dir nfsclient.FH) []string {
	w.t.Helper()
	var names []string
	for name := range w.list(dir) {
		if name != "." && name != ".." {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestLayersMerge(t *testing.T) {
	w := newLayered(
		t,
		[]string{"both=first", "only1=1", "d/", "d/1=", "d/both=first", "fileoverdir=file", "dirovfile/", "dirovfile/x="},
		[]string{"both=second", "only2=2", "d/", "d/2=", "d/both=second", "d/sub/", "d/sub/deep=deep", "fileoverdir/", "fileoverdir/hidden=", "dirovfile=file", "l->only2"},
	)
	for path, want := range map[string]string{"both": "first", "only1": "1", "only2": "2", "d/both": "first", "d/sub/deep": "deep", "fileoverdir": "file"} {
		if got := w.content(w.walk(path)); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	d := w.walk("d")
	w.put(d, "3", "upper")
	for path, want := range map[nfsclient.FH][]string{
		w.root:              {"both", "d", "dirovfile", "fileoverdir", "l", "only1", "only2"},
		d:                   {"1", "2", "3", "both", "sub"},
		w.walk("dirovfile"): {"x"},
	} {
		w.same("names", w.names(path), want)
	}
	for name, id := range w.list(d) {
		if got := w.attr(w.lookup(d, name)).Fileid; got != id {
			t.Errorf("%q: READDIR says %d, GETATTR %d", name, id, got)
		}
	}
	_, err := w.Lookup(t.Context(), w.walk("fileoverdir"), "hidden")
	w.want("below a file", err, nfsclient.ErrNotDir)
	_, err = w.Rmdir(t.Context(), w.root, "d")
	w.want("rmdir of a merged directory", err, nfsclient.ErrNotEmpty)
	before := w.list(d)
	w.restart()
	w.same("after a restart", w.list(d), before)
}

// TestCopyUp: what makes the upper take an object changes neither its handle nor
// its fileid, then and after a restart.
func TestCopyUp(t *testing.T) {
	ctx := t.Context()
	tt := []struct {
		name string
		do   func(w *world, dir, fh nfsclient.FH) error
		want string
	}{
		{"write", func(w *world, _, fh nfsclient.FH) error {
			_, err := w.Write(ctx, fh, 3, nfsclient.Unstable, []byte("XX"))
			return err
		}, "conXXnt"},
		{"truncate", func(w *world, _, fh nfsclient.FH) error {
			_, err := w.Setattr(ctx, fh, size(3), nil)
			return err
		}, "con"},
		{"chmod", func(w *world, _, fh nfsclient.FH) error {
			_, err := w.Setattr(ctx, fh, mode(0o600), nil)
			return err
		}, "content"},
		{"create unchecked with size 0", func(w *world, dir, _ nfsclient.FH) error {
			_, err := w.Create(ctx, dir, "file", nfsclient.Unchecked, size(0))
			return err
		}, ""},
		{"link", func(w *world, dir, fh nfsclient.FH) error { return linkErr(w.Link(ctx, fh, dir, "link")) }, "content"},
		{"rename", func(w *world, dir, _ nfsclient.FH) error {
			_, err := w.Rename(ctx, dir, "file", dir, "new")
			return err
		}, "content"},
		{"rename of its directory", func(w *world, dir, _ nfsclient.FH) error {
			_, err := w.Rename(ctx, w.lookup(dir, ".."), "dir", w.root, "new")
			return err
		}, "content"},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			w := newLayered(t, []string{"a/", "a/dir/", "a/dir/file=content", "a/dir/other=other"})
			dir := w.walk("a/dir")
			fh, other := w.lookup(dir, "file"), w.lookup(dir, "other")
			ids := []uint64{w.attr(dir).Fileid, w.attr(fh).Fileid, w.attr(other).Fileid}
			mtime := w.attr(fh).Mtime
			w.must(tt.name, tt.do(w, dir, fh))
			for _, restart := range []bool{false, true} {
				if restart {
					w.restart()
				}
				if got := w.content(fh); got != tt.want {
					t.Errorf("restart %v: got %q, want %q", restart, got, tt.want)
				}
				if got := w.content(other); got != "other" {
					t.Errorf("restart %v: its neighbour: got %q", restart, got)
				}
				w.same("fileids", []uint64{w.attr(dir).Fileid, w.attr(fh).Fileid, w.attr(other).Fileid}, ids)
				if tt.want == "content" && w.attr(fh).Mtime != mtime {
					t.Errorf("restart %v: mtime became %v from %v", restart, w.attr(fh).Mtime, mtime)
				}
				if !slices.Contains(slices.Collect(maps.Values(w.list(dir))), ids[1]) {
					t.Errorf("restart %v: fileid %d is in no listing", restart, ids[1])
				}
			}
		})
	}
}

func TestWhiteouts(t *testing.T) {
	w := newLayered(t, []string{"d/", "d/a=a", "d/b=b", "d/s->a", "d/sub/", "d/sub/x=x"}, []string{"d/", "d/a=below", "d/c=c"})
	d := w.walk("d")
	old := w.lookup(d, "a")
	w.remove(d, []string{"a", "s"})
	sub := w.lookup(d, "sub")
	_, err := w.Rmdir(t.Context(), d, "sub")
	w.want("rmdir of a lower directory that has entries", err, nfsclient.ErrNotEmpty)
	w.remove(sub, []string{"x"})
	_, err = w.Rmdir(t.Context(), d, "sub")
	w.want("rmdir of what only holds whiteouts", err, nfsclient.OK)
	for _, restart := range []bool{false, true} {
		if restart {
			w.restart()
		}
		w.same("names", w.names(d), []string{"b", "c"})
		for _, name := range []string{"a", "s", "sub"} {
			_, err := w.Lookup(t.Context(), d, name)
			w.want("lookup of "+name, err, nfsclient.ErrNoEnt)
		}
		for _, fh := range []nfsclient.FH{old, sub} {
			_, err := w.Getattr(t.Context(), fh)
			w.want("getattr by the old handle", err, nfsclient.ErrStale)
		}
	}
	if fh := w.put(d, "a", "new"); fh == old || w.content(w.lookup(d, "a")) != "new" {
		t.Error("a new file has the handle or the content of the old")
	}
	again := w.mkdir(d, "sub")
	w.same("a new directory over a removed one", w.names(again), []string(nil))
	w.restart()
	w.same("the same after a restart", w.names(again), []string(nil))
	w.remove(d, []string{"a", "b", "c"})
	_, err = w.Rmdir(t.Context(), d, "sub")
	w.must("rmdir", err)
	_, err = w.Rmdir(t.Context(), w.root, "d")
	w.want("rmdir of all", err, nfsclient.OK)
	w.same("an empty root", w.names(w.root), []string(nil))
}

func TestRenameLowerDirectory(t *testing.T) {
	w := newLayered(t, []string{"d/", "d/sub/", "d/sub/f=deep", "d/f=f", "empty/"}, []string{"d/", "d/sub/", "d/sub/g=below"})
	d, sub := w.walk("d"), w.walk("d/sub")
	f, g := w.walk("d/sub/f"), w.walk("d/sub/g")
	check := func(path string) {
		t.Helper()
		if w.walk(path) != d || w.walk(path+"/sub") != sub || w.walk(path+"/sub/f") != f || w.walk(path+"/sub/g") != g {
			t.Errorf("%s: other handles", path)
		}
		w.same("names", w.names(sub), []string{"f", "g"})
		w.same("names", w.names(d), []string{"f", "sub"})
		if w.content(f) != "deep" || w.content(g) != "below" {
			t.Errorf("got %q and %q", w.content(f), w.content(g))
		}
		_, err := w.Lookup(t.Context(), w.root, "d")
		w.want("the old name", err, nfsclient.ErrNoEnt)
	}
	_, err := w.Rename(t.Context(), w.root, "d", w.root, "new")
	w.want("rename", err, nfsclient.OK)
	check("new")
	w.restart()
	check("new")
	upper := w.mkdir(w.root, "upper")
	_, err = w.Rename(t.Context(), w.root, "new", upper, "newer")
	w.want("rename again", err, nfsclient.OK)
	w.restart()
	check("upper/newer")
	_, err = w.Rename(t.Context(), upper, "newer", w.root, "empty")
	w.want("over an empty lower directory", err, nfsclient.OK)
	check("empty")
	again := w.mkdir(w.root, "d")
	w.same("a new directory of the old name", w.names(again), []string(nil))
}

// TestLowerHardLinks: two names of one lower file are one object, before and after
// copy-up.
func TestLowerHardLinks(t *testing.T) {
	w := newLayered(t, []string{"a=content", "b==a", "d/", "d/c==a"})
	a := w.walk("a")
	ids := []uint64{w.attr(w.walk("a")).Fileid, w.attr(w.walk("b")).Fileid, w.attr(w.walk("d/c")).Fileid}
	if ids[0] != ids[1] || ids[0] != ids[2] || w.attr(a).Nlink != 3 {
		t.Errorf("got fileids %v, %d links, want one and 3", ids, w.attr(a).Nlink)
	}
	w.write(w.walk("b"), "CON")
	for _, restart := range []bool{false, true} {
		if restart {
			w.restart()
		}
		for _, path := range []string{"a", "b", "d/c"} {
			if got := w.content(w.walk(path)); got != "CONtent" {
				t.Errorf("restart %v: %s: got %q, want CONtent", restart, path, got)
			}
			if got := w.attr(w.walk(path)); got.Fileid != ids[0] {
				t.Errorf("restart %v: %s: fileid %d, want %d", restart, path, got.Fileid, ids[0])
			}
		}
	}
	w.remove(w.root, []string{"a"})
	if got := w.content(w.walk("b")); got != "CONtent" {
		t.Errorf("after a removal: got %q", got)
	}
}

// TestListLayersWhileChanging is TestListWhileChanging over layers: removals make
// whiteouts.
func TestListLayersWhileChanging(t *testing.T) {
	var first, second, all []string
	for i := range 2000 {
		name := fmt.Sprintf("e%d", i)
		all = append(all, name)
		switch i % 3 {
		case 0:
			first = append(first, "d/"+name+"=")
		case 1:
			second = append(second, "d/"+name+"=")
		default:
			first, second = append(first, "d/"+name+"="), append(second, "d/"+name+"=")
		}
	}
	w := newLayered(t, append([]string{"d/"}, first...), append([]string{"d/"}, second...))
	d := w.walk("d")
	stay, gone := split(all)
	l := w.lister(d, true, 16384)
	for len(l.seen) < 700 {
		l.page()
	}
	w.remove(d, gone)
	w.fill(d, "late%d", 100)
	w.restart()
	l.rest()
	l.once(append(stay, ".", ".."))
	if got, want := len(w.names(d)), len(stay)+100; got != want {
		t.Errorf("afterwards: got %d entries, want %d", got, want)
	}
}

func TestReadOnly(t *testing.T) {
	w := newLayered(t, []string{"d/", "d/f=content"})
	w.write(w.put(w.root, "upper", ""), "upper")
	w.stop()
	w.o.ReadOnly = true
	w.start()
	d, f := w.walk("d"), w.walk("d/f")
	if got := w.content(f) + w.content(w.walk("upper")); got != "contentupper" {
		t.Errorf("got %q", got)
	}
	for _, args := range callsOfEach(d, f) {
		switch p := args.Proc(); {
		case p.Prog != nfsclient.NFSProgram, p.Num == nfsclient.ProcCommit:
		case p.Num >= nfsclient.ProcWrite && p.Num <= nfsclient.ProcLink, p.Num == nfsclient.ProcSetattr:
			r, b, err := w.Start(args).Wait(t.Context())
			w.must("call", err)
			if len(b) < 4 || nfsclient.Status(b[3]) != nfsclient.ErrROFS {
				t.Errorf("%v: got %+v, %x, want ROFS", p, r, b)
			}
		}
	}
}
