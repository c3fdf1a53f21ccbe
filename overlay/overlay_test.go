package overlay_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// tree is an overlay over directories of the test's own.
type tree struct {
	*overlay.FS
	t       *testing.T
	options overlay.Options
	// spoilt says that the test does to the store what fsck would complain of.
	spoilt  bool
	watched bool
}

var worker = overlay.Caller{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), MayBlock: true}

// newTree opens an overlay with the given number of lower directories.
func newTree(t *testing.T, lowers int) *tree {
	t.Helper()
	dir := t.TempDir()
	tr := &tree{t: t, options: overlay.Options{Upper: filepath.Join(dir, "upper"), State: filepath.Join(dir, "state")}}
	mustMkdir(t, tr.options.Upper)
	for i := range lowers {
		lower := filepath.Join(dir, "lower"+string(rune('1'+i)))
		mustMkdir(t, lower)
		tr.options.Lowers = append(tr.options.Lowers, lower)
	}
	return tr
}

func mustMkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func mustWrite(t *testing.T, path, data string) {
	t.Helper()
	mustMkdir(t, filepath.Dir(path))
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// open opens the overlay until the test ends.
func (tr *tree) open() *tree {
	tr.t.Helper()
	fs, err := overlay.Open(tr.options)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.FS = fs
	if !tr.watched {
		tr.watched = true
		tr.t.Cleanup(tr.mustBeSound) // after all that was opened is closed
	}
	tr.t.Cleanup(func() { fs.Close() })
	return tr
}

// reopen closes the overlay and opens it again.
func (tr *tree) reopen() {
	tr.t.Helper()
	if err := tr.Close(); err != nil {
		tr.t.Fatal(err)
	}
	tr.open()
}

// walk gives the attributes of what a path of names stands for.
func (tr *tree) walk(names ...string) overlay.Attr {
	tr.t.Helper()
	a, err := tr.tryWalk(names...)
	if err != nil {
		tr.t.Fatalf("look up %v: %v", names, err)
	}
	return a
}

func (tr *tree) tryWalk(names ...string) (a overlay.Attr, err error) {
	a.ID = tr.Root()
	for _, name := range names {
		var dir overlay.Attr
		if _, err := tr.Lookup(worker, a.ID, []byte(name), &a, &dir); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (tr *tree) create(dir overlay.ID, name, data string) overlay.Attr {
	tr.t.Helper()
	var a overlay.Attr
	var w overlay.Change
	if err := tr.Create(worker, dir, []byte(name), &overlay.CreateHow{Mode: overlay.Guarded}, &a, &w); err != nil {
		tr.t.Fatalf("create %s: %v", name, err)
	}
	if err := tr.Write(worker, a.ID, []byte(data), 0, overlay.Unstable, &w); err != nil {
		tr.t.Fatalf("write %s: %v", name, err)
	}
	return a
}

func (tr *tree) read(id overlay.ID) string {
	tr.t.Helper()
	var a overlay.Attr
	b := make([]byte, 1<<16)
	n, _, err := tr.Read(worker, id, b, 0, &a)
	if err != nil {
		tr.t.Fatalf("read: %v", err)
	}
	return string(b[:n])
}

// list gives a directory's names, sorted, without "." and "..".
func (tr *tree) list(dir overlay.ID) []string {
	tr.t.Helper()
	var a overlay.Attr
	names := []string{}
	_, err := tr.Readdir(worker, dir, 0, true, &a, func(e *overlay.DirEntry) bool {
		if e.Attr == nil || e.Attr.ID.Fileid != e.Fileid {
			tr.t.Errorf("entry %s: fileid %d, attributes %+v", e.Name, e.Fileid, e.Attr)
		}
		if s := string(e.Name); s != "." && s != ".." {
			names = append(names, s)
		}
		return true
	})
	if err != nil {
		tr.t.Fatalf("list: %v", err)
	}
	slices.Sort(names)
	return names
}

func wantErr(t *testing.T, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

func TestUpperOnly(t *testing.T) {
	tr := newTree(t, 0).open()
	var a, f overlay.Attr
	var w, w2 overlay.Change
	if err := tr.Mkdir(worker, tr.Root(), []byte("d"), &overlay.SetAttr{SetMode: true, Mode: 0o750}, &a, &w); err != nil {
		t.Fatal(err)
	}
	if a.Mode != overlay.ModeDir|0o750 || !w.HasPre || !w.HasPost || w.Pre.Mtime == w.Post.Mtime {
		t.Errorf("mkdir gave %+v, change %+v", a, w)
	}
	f = tr.create(a.ID, "f", "hello")
	if got := tr.read(f.ID); got != "hello" {
		t.Errorf("read %q", got)
	}
	if err := tr.Rename(worker, a.ID, []byte("f"), tr.Root(), []byte("g"), &w, &w2); err != nil {
		t.Fatal(err)
	}
	if got := tr.walk("g").ID; got != f.ID {
		t.Errorf("renamed file is %v, was %v", got, f.ID)
	}
	_, err := tr.tryWalk("d", "f")
	wantErr(t, err, syscall.ENOENT)
	if got := tr.list(tr.Root()); !slices.Equal(got, []string{"d", "g"}) {
		t.Errorf("root holds %q", got)
	}
	tr.reopen()
	if got := tr.read(f.ID); got != "hello" {
		t.Errorf("after reopening, the old handle reads %q", got)
	}
	if err := tr.Rmdir(worker, tr.Root(), []byte("d"), &w); err != nil {
		t.Fatal(err)
	}
	wantErr(t, tr.Getattr(a.ID, &a), syscall.ESTALE)
	if err := tr.Remove(worker, tr.Root(), []byte("g"), &w); err != nil {
		t.Fatal(err)
	}
	wantErr(t, tr.Getattr(f.ID, &a), syscall.ESTALE)
}

func TestLower(t *testing.T) {
	tr := newTree(t, 2)
	l1, l2 := tr.options.Lowers[0], tr.options.Lowers[1]
	mustWrite(t, l1+"/a", "one")
	mustWrite(t, l2+"/a", "hidden")
	mustWrite(t, l2+"/b", "two")
	mustWrite(t, l1+"/dir/x", "x1")
	mustWrite(t, l2+"/dir/y", "y2")
	mustWrite(t, l2+"/dir/sub/z", "z2")
	tr.open()
	if got := tr.list(tr.Root()); !slices.Equal(got, []string{"a", "b", "dir"}) {
		t.Errorf("root holds %q", got)
	}
	dir := tr.walk("dir")
	if got := tr.list(dir.ID); !slices.Equal(got, []string{"sub", "x", "y"}) {
		t.Errorf("dir holds %q", got)
	}
	y := tr.walk("dir", "y")
	var w, w2 overlay.Change
	if err := tr.Write(worker, y.ID, []byte("Y"), 0, overlay.Unstable, &w); err != nil {
		t.Fatal(err)
	}
	if got := tr.read(y.ID); got != "Y2" {
		t.Errorf("after copy-up, read %q", got)
	}
	if got := tr.walk("dir", "y"); got.ID != y.ID {
		t.Errorf("copy-up changed the ID from %v to %v", y.ID, got.ID)
	}
	if got := tr.walk("dir"); got.ID != dir.ID || got.Mtime != dir.Mtime {
		t.Errorf("copy-up of the directory changed %+v to %+v", dir, got)
	}
	if err := tr.Remove(worker, tr.Root(), []byte("a"), &w); err != nil {
		t.Fatal(err)
	}
	_, err := tr.tryWalk("a")
	wantErr(t, err, syscall.ENOENT)
	tr.create(tr.Root(), "a", "new")
	if got := tr.read(tr.walk("a").ID); got != "new" {
		t.Errorf("made again, a reads %q", got)
	}
	if err := tr.Rename(worker, tr.Root(), []byte("dir"), tr.Root(), []byte("moved"), &w, &w2); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		if got := tr.list(tr.Root()); !slices.Equal(got, []string{"a", "b", "moved"}) {
			t.Errorf("root holds %q", got)
		}
		if got := tr.walk("moved"); got.ID != dir.ID {
			t.Errorf("rename changed the ID from %v to %v", dir.ID, got.ID)
		}
		if got := tr.list(dir.ID); !slices.Equal(got, []string{"sub", "x", "y"}) {
			t.Errorf("moved holds %q", got)
		}
		if got := tr.read(y.ID); got != "Y2" {
			t.Errorf("read %q", got)
		}
		if got := tr.walk("moved", "y"); got.ID != y.ID {
			t.Errorf("ID is %v, was %v", got.ID, y.ID)
		}
	}
	check()
	tr.reopen()
	check()
	wantErr(t, tr.Rmdir(worker, tr.Root(), []byte("moved"), &w), syscall.ENOTEMPTY)
	for _, f := range []string{"x", "y"} {
		if err := tr.Remove(worker, dir.ID, []byte(f), &w); err != nil {
			t.Fatal(err)
		}
	}
	sub := tr.walk("moved", "sub")
	if err := tr.Remove(worker, sub.ID, []byte("z"), &w); err != nil {
		t.Fatal(err)
	}
	if err := tr.Rmdir(worker, dir.ID, []byte("sub"), &w); err != nil {
		t.Fatal(err)
	}
	if err := tr.Rmdir(worker, tr.Root(), []byte("moved"), &w); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(l2 + "/dir/sub/z"); err != nil || string(b) != "z2" {
		t.Errorf("the lower holds %q, %v", b, err)
	}
}

// A count that leaves out the subdirectories in another layer would have fts(3) skip them.
func TestLinksOfDirectories(t *testing.T) {
	tr := newTree(t, 1)
	mustMkdir(t, tr.options.Lowers[0]+"/d/sub")
	tr.open()
	check := func(want uint32) {
		t.Helper()
		for _, path := range [][]string{{}, {"d"}, {"d", "sub"}} {
			a := tr.walk(path...)
			if err := tr.Getattr(a.ID, &a); err != nil || a.Nlink != want {
				t.Errorf("%v has %d links, want %d, %v", path, a.Nlink, want, err)
			}
		}
	}
	check(1)
	tr.mkdir(tr.walk("d").ID, "more", 0o755)
	check(1)
	tr = newTree(t, 0)
	mustMkdir(t, tr.options.Upper+"/d")
	if a := tr.open().walk("d"); a.Nlink != 2 {
		t.Errorf("without lower directories, d has %d links", a.Nlink)
	}
}

// A guard is what the client knows: the ctime from before copy-up.
func TestGuardOfLower(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/f", "f")
	tr.open()
	f := tr.walk("f")
	wrong := overlay.Time{Sec: f.Ctime.Sec - 1}
	for _, tt := range []struct {
		guard overlay.Time
		want  error
	}{{wrong, overlay.ErrNotSync}, {f.Ctime, nil}, {f.Ctime, overlay.ErrNotSync}} {
		var w overlay.Change
		wantErr(t, tr.Setattr(worker, f.ID, &overlay.SetAttr{SetMode: true, Mode: 0o600, Guard: &tt.guard}, &w), tt.want)
	}
}
