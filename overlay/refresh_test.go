package overlay_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// must fails the test on an error of what it does to the layers.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// replace puts a new file in a name's place, as careful programs do.
func replace(path, data string) error {
	if err := os.WriteFile(path+".new", []byte(data), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (tr *tree) mustRefresh() overlay.Refreshed {
	tr.t.Helper()
	r, err := tr.Refresh()
	if err != nil {
		tr.t.Fatal(err)
	}
	return r
}

// readOrStale gives what a handle reads, or "ESTALE".
func (tr *tree) readOrStale(id overlay.ID) string {
	tr.t.Helper()
	var a overlay.Attr
	b := make([]byte, 1<<16)
	n, _, err := tr.Read(worker, id, b, 0, &a)
	switch err {
	case nil:
		return string(b[:n])
	case syscall.ESTALE:
		return "ESTALE"
	}
	tr.t.Fatalf("read: %v", err)
	return ""
}

// tick waits until changes can be told from those before by the file system's clock.
func tick(t *testing.T, dir string) {
	t.Helper()
	const enough = 50 * time.Millisecond
	for start := time.Now(); time.Since(start) < enough; {
		mustWrite(t, filepath.Dir(dir)+"/clock", "")
	}
}

// changing is a tree over two lowers with a file and a directory in each place.
func changing(t *testing.T) (tr *tree, lower string) {
	t.Helper()
	tr = newTree(t, 2)
	lower = tr.options.Lowers[1]
	mustWrite(t, lower+"/d/f", "old")
	mustWrite(t, lower+"/d/g", "old")
	mustWrite(t, lower+"/d/sub/h", "old")
	mustWrite(t, tr.options.Lowers[0]+"/d/other", "other")
	mustWrite(t, tr.options.Upper+"/d/up", "up")
	return tr.open(), lower
}

// What changes in a lower is the old thing, the new thing or gone, by its handle and by
// its name, and the rest goes on: at once, and after a refresh.
func TestLowerChanges(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, d string)
		byName string   // what d/f reads afterwards
		byOld  []string // what the old handle may read before the refresh
		then   string   // what it reads after it
		names  []string // in d
	}{
		{
			"replaced", func(t *testing.T, d string) { must(t, replace(d+"/f", "new")) },
			"new",
			[]string{"old", "ESTALE"},
			"ESTALE",
			[]string{"f", "g", "other", "sub", "up"},
		},
		{
			"changed in place", func(t *testing.T, d string) { mustWrite(t, d+"/f", "new") },
			"new",
			[]string{"new"},
			"new",
			[]string{"f", "g", "other", "sub", "up"},
		},
		{
			"truncated", func(t *testing.T, d string) { must(t, os.Truncate(d+"/f", 1)) },
			"o",
			[]string{"o"},
			"o",
			[]string{"f", "g", "other", "sub", "up"},
		},
		{
			"removed", func(t *testing.T, d string) { must(t, os.Remove(d+"/f")) },
			"ENOENT",
			[]string{"old", "ESTALE"},
			"ESTALE",
			[]string{"g", "other", "sub", "up"},
		},
		{
			"renamed over another", func(t *testing.T, d string) { must(t, os.Rename(d+"/g", d+"/f")) },
			"old",
			[]string{"old", "ESTALE"},
			"ESTALE",
			[]string{"f", "other", "sub", "up"},
		},
		{
			"replaced by a directory", func(t *testing.T, d string) {
				must(t, os.Remove(d+"/f"))
				mustMkdir(t, d+"/f")
			},
			"EISDIR",
			[]string{"old", "ESTALE"},
			"ESTALE",
			[]string{"f", "g", "other", "sub", "up"},
		},
		{
			"replaced by a link", func(t *testing.T, d string) {
				must(t, os.Remove(d+"/f"))
				must(t, os.Symlink("/etc/passwd", d+"/f"))
			},
			"EINVAL",
			[]string{"old", "ESTALE"},
			"ESTALE",
			[]string{"f", "g", "other", "sub", "up"},
		},
		{
			"directory removed", func(t *testing.T, d string) { must(t, os.RemoveAll(d)) },
			"ENOENT",
			[]string{"old", "ESTALE"},
			"ESTALE",
			[]string{"other", "up"},
		},
		{
			"directory renamed away", func(t *testing.T, d string) { must(t, os.Rename(d, d+"-away")) },
			"ENOENT",
			[]string{"old", "ESTALE"},
			"ESTALE",
			[]string{"other", "up"},
		},
		{
			"directory replaced by a file", func(t *testing.T, d string) {
				must(t, os.RemoveAll(d))
				mustWrite(t, d, "file")
			},
			"ENOENT",
			[]string{"old", "ESTALE"},
			"ESTALE",
			[]string{"other", "up"},
		},
		{
			"directory replaced by another", func(t *testing.T, d string) {
				must(t, os.Rename(d, d+"-away"))
				mustWrite(t, d+"/f", "new")
			},
			"new",
			[]string{"old", "ESTALE"},
			"ESTALE",
			[]string{"f", "other", "up"},
		},
		{
			"whole lower removed", func(t *testing.T, d string) { must(t, os.RemoveAll(filepath.Dir(d))) },
			"ENOENT",
			[]string{"old", "ESTALE"},
			"ESTALE",
			[]string{"other", "up"},
		},
	}
	for _, tt := range tests {
		for _, cached := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, cached %v", tt.name, cached), func(t *testing.T) {
				tr, lower := changing(t)
				f, d := tr.walk("d", "f"), tr.walk("d")
				if got := tr.read(f.ID); got != "old" {
					t.Fatalf("read %q", got)
				}
				tr.list(d.ID)
				tt.change(t, lower+"/d")
				if !cached {
					tr.DropCaches()
				}
				if got := tr.readOrStale(f.ID); !slices.Contains(tt.byOld, got) {
					t.Errorf("before the refresh, the old handle reads %q", got)
				}
				if got := tr.read(tr.walk("d", "up").ID) + tr.read(tr.walk("d", "other").ID); got != "upother" {
					t.Errorf("before the refresh, the rest reads %q", got)
				}
				tr.list(d.ID) // late, but no error
				tr.mustRefresh()
				if got := tr.readOrStale(f.ID); got != tt.then {
					t.Errorf("after the refresh, the old handle reads %q, want %q", got, tt.then)
				}
				if got := tr.readName("d", "f"); got != tt.byName {
					t.Errorf("after the refresh, the name reads %q, want %q", got, tt.byName)
				}
				if got := tr.list(d.ID); !slices.Equal(got, tt.names) {
					t.Errorf("after the refresh, d holds %q, want %q", got, tt.names)
				}
				if got := tr.walk("d"); got.ID != d.ID {
					t.Errorf("d became %v from %v", got.ID, d.ID)
				}
				tr.create(d.ID, "more", "more")
				tr.reopenAt(lower)
				if got := tr.readName("d", "f"); got != tt.byName {
					t.Errorf("after a restart, the name reads %q, want %q", got, tt.byName)
				}
			})
		}
	}
}

// reopenAt is reopen, with a lower there in any case.
func (tr *tree) reopenAt(lower string) {
	mustMkdir(tr.t, lower)
	tr.reopen()
}

// readName gives what a path of names reads, or the name of the error.
func (tr *tree) readName(names ...string) string {
	tr.t.Helper()
	a, err := tr.tryWalk(names...)
	if err == syscall.ENOENT {
		return "ENOENT"
	}
	var b [64]byte
	n := 0
	if err == nil {
		n, _, err = tr.Read(worker, a.ID, b[:], 0, &a)
	}
	switch err {
	case nil:
		return string(b[:n])
	case syscall.EISDIR:
		return "EISDIR"
	case syscall.EINVAL:
		return "EINVAL"
	}
	tr.t.Fatalf("read %v: %v", names, err)
	return ""
}

// Names that come and go in a lower show in the times of the merged directory, of which
// only the upper part's are its own.
func TestRefreshShowsInTimes(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, lower string)
		dirs   []string // whose times change
	}{
		{"a name came", func(t *testing.T, lower string) { mustWrite(t, lower+"/d/new", "") }, []string{"/d"}},
		{"a name went", func(t *testing.T, lower string) { must(t, os.Remove(lower+"/d/f")) }, []string{"/d"}},
		{"a file was replaced", func(t *testing.T, lower string) { must(t, replace(lower+"/d/f", "")) }, []string{"/d"}},
		{"the directory went", func(t *testing.T, lower string) { must(t, os.RemoveAll(lower+"/d")) }, []string{"/", "/d"}},
		{"a directory came", func(t *testing.T, lower string) { mustWrite(t, lower+"/alone/x", "") }, []string{"/", "/alone"}},
		{"nothing", func(*testing.T, string) {}, []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr, lower := changing(t)
			mustWrite(t, tr.options.Upper+"/alone/y", "")
			tick(t, lower)
			tr.mustRefresh()
			before := map[string]overlay.Attr{}
			for _, dir := range []string{"d", "alone"} {
				tr.list(tr.walk(dir).ID)
				before["/"+dir] = tr.walk(dir)
			}
			tr.list(tr.Root())
			before["/"] = tr.walk(".")
			tt.change(t, lower)
			r := tr.mustRefresh()
			if !slices.Equal(r.Changed, tt.dirs) {
				t.Errorf("changed are %q, want %q", r.Changed, tt.dirs)
			}
			for dir, was := range before {
				now := tr.attr(was.ID)
				if changed := now.Mtime != was.Mtime; changed != slices.Contains(tt.dirs, dir) || changed != (now.Ctime != was.Ctime) {
					t.Errorf("%s: mtime %v, ctime %v, were %v, %v", dir, now.Mtime, now.Ctime, was.Mtime, was.Ctime)
				}
			}
			tick(t, lower)
			tr.mustRefresh()
			again := tr.attr(tr.Root())
			if r := tr.mustRefresh(); len(r.Changed) > 0 || tr.attr(tr.Root()) != again {
				t.Errorf("a second refresh found %q changed", r.Changed)
			}
		})
	}
}

func (tr *tree) attr(id overlay.ID) (a overlay.Attr) {
	tr.t.Helper()
	if err := tr.Getattr(id, &a); err != nil {
		tr.t.Fatalf("getattr: %v", err)
	}
	return a
}

// A directory's mtime is what a client sets, also after a refresh raised it, and a change
// of its names advances it and is told by matching attributes.
func TestTimesAfterRefresh(t *testing.T) {
	tr, lower := changing(t)
	d := tr.walk("d")
	tr.list(d.ID)
	mustWrite(t, lower+"/d/new", "")
	tick(t, lower)
	tr.mustRefresh()
	raised := tr.attr(d.ID)
	var a overlay.Attr
	var w overlay.Change
	how := overlay.CreateHow{Mode: overlay.Guarded}
	if err := tr.Create(worker, d.ID, []byte("x"), &how, &a, &w); err != nil {
		t.Fatal(err)
	}
	if w.Pre.Mtime != raised.Mtime || w.Pre.Ctime != raised.Ctime || w.Post != tr.attr(d.ID) || w.Post.Mtime == raised.Mtime {
		t.Errorf("create told %+v, the directory was %+v, is %+v", w, raised, tr.attr(d.ID))
	}
	set := overlay.SetAttr{SetMtime: overlay.ClientTime, Mtime: overlay.Time{Sec: 1}}
	guard := tr.attr(d.ID).Ctime
	set.Guard = &guard
	if err := tr.Setattr(worker, d.ID, &set, &w); err != nil {
		t.Fatal(err)
	}
	if got := tr.attr(d.ID); got.Mtime != set.Mtime || w.Post.Mtime != set.Mtime {
		t.Errorf("mtime is %v, want %v", got.Mtime, set.Mtime)
	}
	tr.mustRefresh()
	if got := tr.attr(d.ID); got.Mtime != set.Mtime {
		t.Errorf("after a refresh, mtime is %v, want %v", got.Mtime, set.Mtime)
	}
}

// What is changed in the upper behind the server's back, as Nix's local-overlay store
// does to delete, shows after a refresh.
func TestUpperRemovedBehind(t *testing.T) {
	tr, lower := changing(t)
	mustWrite(t, lower+"/store/p/file", "lower")
	mustWrite(t, tr.options.Upper+"/store/p/file", "upper")
	mustWrite(t, lower+"/store/q/file", "q")
	p, file, q := tr.walk("store", "p"), tr.walk("store", "p", "file"), tr.walk("store", "q", "file")
	tr.write(q.ID, "Q") // copied up
	if got := tr.read(file.ID); got != "upper" {
		t.Fatalf("read %q", got)
	}
	must(t, os.RemoveAll(tr.options.Upper+"/store/p"))
	must(t, os.RemoveAll(tr.options.Upper+"/store/q"))
	if r := tr.mustRefresh(); !slices.Contains(r.Changed, "/store") {
		t.Errorf("changed are %q", r.Changed)
	}
	var a overlay.Attr
	wantErr(t, tr.Getattr(p.ID, &a), syscall.ESTALE)
	wantErr(t, tr.Getattr(file.ID, &a), syscall.ESTALE)
	if got := tr.readName("store", "p", "file"); got != "lower" {
		t.Errorf("the name reads %q, want lower", got)
	}
	if got := tr.walk("store", "q", "file"); got.ID != q.ID || tr.read(q.ID) != "q" {
		t.Errorf("the lower file whose copy went is %v and reads %q, was %v", got.ID, tr.read(got.ID), q.ID)
	}
	tr.write(q.ID, "Z")
	if got := tr.readName("store", "q", "file"); got != "Z" {
		t.Errorf("copied up again, it reads %q", got)
	}
}

// A file whose name went to another object behind the server is gone, of whatever type that is.
func TestUpperReplacedBehind(t *testing.T) {
	replacements := map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
		"link":      func(path string) error { return os.Symlink("to", path) },
		"socket":    func(path string) error { return syscall.Mknod(path, syscall.S_IFSOCK|0o600, 0) },
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
	}
	for name, replace := range replacements {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t, 0)
			mustWrite(t, tr.options.Upper+"/f", "data")
			tr.open()
			f := tr.walk("f")
			must(t, os.Rename(tr.options.Upper+"/f", tr.options.Upper+"/g"))
			must(t, replace(tr.options.Upper+"/f"))
			var a overlay.Attr
			var w overlay.Change
			_, _, err := tr.Read(worker, f.ID, make([]byte, 8), 0, &a)
			wantErr(t, err, syscall.ESTALE)
			wantErr(t, tr.Write(worker, f.ID, []byte("x"), 0, overlay.Unstable, &w), syscall.ESTALE)
		})
	}
}

// A write by the handle of what was replaced in a lower changes nothing: neither is the
// new file taken for the old, nor the old one put in its place.
func TestCopyUpOfReplaced(t *testing.T) {
	for _, refresh := range []bool{false, true} {
		tr, lower := changing(t)
		f, sub := tr.walk("d", "f"), tr.walk("d", "sub")
		tr.read(f.ID)
		must(t, replace(lower+"/d/f", "new"))
		must(t, os.Rename(lower+"/d/sub", lower+"/d/away"))
		mustWrite(t, lower+"/d/sub/h", "new")
		if refresh {
			tr.mustRefresh()
		}
		var a overlay.Attr
		var w overlay.Change
		wantErr(t, tr.Write(worker, f.ID, []byte("XX"), 0, overlay.Unstable, &w), syscall.ESTALE)
		wantErr(t, tr.Create(worker, sub.ID, []byte("x"), &overlay.CreateHow{}, &a, &w), syscall.ESTALE)
		if _, err := os.Lstat(tr.options.Upper + "/d/f"); err == nil {
			t.Error("something was copied up")
		}
		if got := tr.readName("d", "f"); got != "new" {
			t.Errorf("the name reads %q, want new", got)
		}
		// The new file's own handle works, and the layer above wins over both.
		tr.write(tr.walk("d", "f").ID, "N")
		if got := tr.readName("d", "f"); got != "New" {
			t.Errorf("written, it reads %q, want New", got)
		}
		mustWrite(t, tr.options.Lowers[0]+"/d/g", "first")
		g := tr.walk("d", "g")
		if got := tr.read(g.ID); got != "first" {
			t.Errorf("g reads %q, want first", got)
		}
	}
}

// A lower file that is hidden by a newer one in a layer above is not written by its old
// handle over that.
func TestCopyUpOfHidden(t *testing.T) {
	tr, _ := changing(t)
	f := tr.walk("d", "f")
	mustWrite(t, tr.options.Lowers[0]+"/d/f", "above")
	var w overlay.Change
	wantErr(t, tr.Write(worker, f.ID, []byte("XX"), 0, overlay.Unstable, &w), syscall.ESTALE)
	if got := tr.readName("d", "f"); got != "above" {
		t.Errorf("the name reads %q, want above", got)
	}
}

// Two objects of one inode number, one of them gone from its lower but copied up, are
// both there.
func TestLowerNumberReused(t *testing.T) {
	tr, lower := changing(t)
	tr.spoilt = true
	f := tr.walk("d", "f")
	tr.write(f.ID, "F")
	must(t, os.Remove(lower+"/d/f"))
	var again overlay.Attr
	var name string
	for i := range 2000 {
		name = fmt.Sprint("again", i)
		mustWrite(t, lower+"/d/"+name, "again")
		if st := tr.walk("d", name); st.ID.Fileid == f.ID.Fileid {
			again = st
			break
		}
	}
	if again.ID.Fileid == 0 {
		t.Log("the file system did not use the number again")
		return
	}
	for range 3 {
		if got := tr.readOrStale(f.ID) + tr.readOrStale(again.ID); got != "Fldagain" {
			t.Errorf("the handles read %q", got)
		}
		tr.walk("d", "f")
		tr.walk("d", name)
	}
}

// Refreshes and requests do not stop one another, and what they meet is whole.
func TestRefreshWhileWorking(t *testing.T) {
	tr, lower := changing(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			err := replace(lower+"/d/f", strings.Repeat(fmt.Sprint(i%10), 100))
			_, refreshErr := tr.Refresh()
			if err := errors.Join(err, refreshErr); err != nil {
				t.Error(err)
			}
		}
	}()
	d := tr.walk("d")
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		name := fmt.Sprint("n", i%7)
		tr.create(d.ID, name, "x")
		tr.mustRename(d.ID, name, tr.walk("d", "sub").ID, name)
		tr.list(d.ID)
		tr.remove(tr.walk("d", "sub").ID, name)
		if a, err := tr.tryWalk("d", "f"); err == nil {
			if got := tr.readOrStale(a.ID); got != "ESTALE" && got != "old" && got != strings.Repeat(got[:1], 100) {
				t.Errorf("read %q", got)
			}
		}
	}
}

// A change in the tick in which a directory was looked at is not missed: times do not tell.
func TestRefreshInOneTick(t *testing.T) {
	for range 20 {
		tr, lower := changing(t)
		mustWrite(t, lower+"/d/one", "")
		d := tr.walk("d")
		tr.list(d.ID)
		tr.mustRefresh()
		before := tr.attr(d.ID)
		mustWrite(t, lower+"/d/two", "")
		tr.mustRefresh()
		if got := tr.attr(d.ID); got.Mtime == before.Mtime || got.Ctime == before.Ctime {
			t.Fatalf("times are %v, %v as before", got.Mtime, got.Ctime)
		}
	}
}
