package overlay_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// rename moves a name, and fails the test when it does not return.
func (tr *tree) rename(from overlay.ID, name string, to overlay.ID, toName string) error {
	tr.t.Helper()
	done := make(chan error, 1)
	go func() {
		var w, w2 overlay.Change
		done <- tr.Rename(worker, from, []byte(name), to, []byte(toName), &w, &w2)
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		tr.t.Fatalf("rename of %s to %s does not return", name, toName)
		return nil
	}
}

func (tr *tree) mustRename(from overlay.ID, name string, to overlay.ID, toName string) {
	tr.t.Helper()
	if err := tr.rename(from, name, to, toName); err != nil {
		tr.t.Fatalf("rename %s to %s: %v", name, toName, err)
	}
}

func (tr *tree) remove(dir overlay.ID, name string) {
	tr.t.Helper()
	var w overlay.Change
	if err := tr.Remove(worker, dir, []byte(name), &w); err != nil {
		tr.t.Fatalf("remove %s: %v", name, err)
	}
}

func (tr *tree) mkdir(dir overlay.ID, name string, mode uint32) overlay.Attr {
	tr.t.Helper()
	var a overlay.Attr
	var w overlay.Change
	if err := tr.Mkdir(worker, dir, []byte(name), &overlay.SetAttr{SetMode: true, Mode: mode}, &a, &w); err != nil {
		tr.t.Fatalf("mkdir %s: %v", name, err)
	}
	return a
}

func (tr *tree) write(id overlay.ID, data string) {
	tr.t.Helper()
	var w overlay.Change
	if err := tr.Write(worker, id, []byte(data), 0, overlay.Unstable, &w); err != nil {
		tr.t.Fatalf("write: %v", err)
	}
}

func mustLink(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Link(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestRenameIntoLowerDirectory(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/dir/sub/f", "lower")
	tr.open()
	f := tr.create(tr.Root(), "f", "data")
	sub := tr.walk("dir", "sub")
	tr.mustRename(tr.Root(), "f", sub.ID, "g")
	if got := tr.walk("dir", "sub", "g"); got.ID != f.ID {
		t.Errorf("renamed file is %v, was %v", got.ID, f.ID)
	}
	tr.mustRename(sub.ID, "f", tr.Root(), "f")
	if got := tr.list(sub.ID); !slices.Equal(got, []string{"g"}) {
		t.Errorf("sub holds %q", got)
	}
}

func TestRenameOverDirectory(t *testing.T) {
	tests := []struct {
		name  string
		inTop []string // in the upper's directory
		lower []string // in the lower's
		clear bool     // remove everything before
		want  error
	}{
		{name: "lower, not empty", lower: []string{"x"}, want: syscall.ENOTEMPTY},
		{name: "lower, empty", lower: []string{}},
		{name: "merged, not empty", inTop: []string{"x"}, lower: []string{}, want: syscall.ENOTEMPTY},
		{name: "merged, not empty below", inTop: []string{}, lower: []string{"x"}, want: syscall.ENOTEMPTY},
		{name: "merged, all removed", inTop: []string{"y"}, lower: []string{"x"}, clear: true},
		{name: "lower, all removed", lower: []string{"x"}, clear: true},
		{name: "upper, not empty", inTop: []string{"x"}, want: syscall.ENOTEMPTY},
		{name: "upper, empty", inTop: []string{}},
	}
	for _, tt := range tests {
		for _, of := range []string{"upper", "lower"} {
			t.Run(tt.name+", by one of the "+of, func(t *testing.T) {
				tr := newTree(t, 1)
				for layer, names := range map[string][]string{tr.options.Upper: tt.inTop, tr.options.Lowers[0]: tt.lower} {
					for _, name := range names {
						mustWrite(t, layer+"/to/"+name, name)
					}
					if names != nil {
						mustMkdir(t, layer+"/to")
					}
				}
				mustMkdir(t, tr.options.Lowers[0])
				mustWrite(t, map[string]string{"upper": tr.options.Upper, "lower": tr.options.Lowers[0]}[of]+"/from/f", "f")
				tr.open()
				to, from := tr.walk("to"), tr.walk("from")
				if tt.clear {
					for _, name := range tr.list(to.ID) {
						tr.remove(to.ID, name)
					}
				}
				before := tr.list(to.ID)
				err := tr.rename(tr.Root(), "from", tr.Root(), "to")
				wantErr(t, err, tt.want)
				if tt.want != nil {
					if got := tr.list(to.ID); !slices.Equal(got, before) {
						t.Errorf("after the failure the directory holds %q, before %q", got, before)
					}
					return
				}
				for range 2 {
					if got := tr.walk("to"); got.ID != from.ID {
						t.Errorf("to is %v, want %v", got.ID, from.ID)
					}
					if got := tr.list(from.ID); !slices.Equal(got, []string{"f"}) {
						t.Errorf("to holds %q", got)
					}
					if got := tr.list(tr.Root()); !slices.Equal(got, []string{"to"}) {
						t.Errorf("root holds %q", got)
					}
					tr.reopen()
				}
				wantErr(t, tr.Getattr(to.ID, &to), syscall.ESTALE)
			})
		}
	}
}

// Every name of a lower file stands for its one copy, whatever becomes of the names.
func TestRenameLinksOfLower(t *testing.T) {
	tests := []struct {
		name string
		do   func(tr *tree)
		want map[string]string // directory to name
	}{
		{"the name that was not copied up", func(tr *tree) {
			tr.write(tr.walk("d", "a").ID, "new")
			tr.mustRename(tr.walk("d").ID, "b", tr.Root(), "c")
		}, map[string]string{"d": "a", "": "c"}},
		{"the directory of both", func(tr *tree) {
			tr.mustRename(tr.Root(), "d", tr.Root(), "e")
			tr.write(tr.walk("e", "b").ID, "new")
			tr.remove(tr.walk("e").ID, "a")
			tr.mustRename(tr.walk("e").ID, "b", tr.walk("e").ID, "a")
			tr.mkdir(tr.Root(), "d", 0o755)
			tr.mustRename(tr.walk("e").ID, "a", tr.walk("d").ID, "c")
			tr.mustRename(tr.walk("d").ID, "c", tr.walk("e").ID, "b")
		}, map[string]string{"e": "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, 1)
			lower := tr.options.Lowers[0]
			mustWrite(t, lower+"/d/a", "old")
			mustLink(t, lower+"/d/a", lower+"/d/b")
			tr.open()
			id := tr.walk("d", "a").ID
			tt.do(tr)
			for range 2 {
				if got := tr.read(id); got != "new" {
					t.Errorf("read %q", got)
				}
				for dir, name := range tt.want {
					path := []string{name}
					if dir != "" {
						path = []string{dir, name}
					}
					if got := tr.walk(path...); got.ID != id || int(got.Nlink) != len(tt.want) {
						t.Errorf("%v is %v with %d links, want %v with %d", path, got.ID, got.Nlink, id, len(tt.want))
					}
				}
				tr.reopen()
			}
			for dir, name := range tt.want {
				d := tr.Root()
				if dir != "" {
					d = tr.walk(dir).ID
				}
				tr.remove(d, name)
			}
			var a overlay.Attr
			wantErr(t, tr.Getattr(id, &a), syscall.ESTALE)
			if got := indexed(t, tr); len(got) != 0 {
				t.Errorf("the index holds %q", got)
			}
		})
	}
}

func TestRenameDirectoryOfLinks(t *testing.T) {
	tr := newTree(t, 1)
	lower := tr.options.Lowers[0]
	mustWrite(t, lower+"/d/a", "old")
	mustLink(t, lower+"/d/a", lower+"/d/b")
	mustMkdir(t, lower+"/d/sub")
	mustLink(t, lower+"/d/a", lower+"/d/sub/c")
	tr.open()
	tr.mustRename(tr.Root(), "d", tr.Root(), "e")
	for range 2 {
		e := tr.walk("e")
		if got := tr.list(e.ID); !slices.Equal(got, []string{"a", "b", "sub"}) {
			t.Errorf("e holds %q", got)
		}
		for _, path := range [][]string{{"e", "a"}, {"e", "b"}, {"e", "sub", "c"}} {
			if got := tr.walk(path...); tr.read(got.ID) != "old" || got.Nlink != 3 {
				t.Errorf("%v reads %q and has %d links", path, tr.read(got.ID), got.Nlink)
			}
		}
		tr.reopen()
	}
}

func indexed(t *testing.T, tr *tree) []string {
	t.Helper()
	entries, err := os.ReadDir(tr.options.Upper + ".work/index")
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// A name that comes into another directory has there too the fileid that its
// attributes show.
func TestFileidOfMoved(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/f", "f")
	mustWrite(t, tr.options.Lowers[0]+"/g", "g")
	tr.open()
	to := tr.mkdir(tr.Root(), "to", 0o755)
	more := tr.mkdir(tr.Root(), "more", 0o755)
	f, g := tr.walk("f"), tr.walk("g")
	tr.mustRename(tr.Root(), "f", to.ID, "f")
	var a overlay.Attr
	var w overlay.Change
	if _, err := tr.Link(worker, g.ID, more.ID, []byte("g"), &a, &w); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, tt := range []struct {
			dir, file overlay.Attr
			name      string
		}{{to, f, "f"}, {more, g, "g"}} {
			if got := tr.fileids(tt.dir.ID)[tt.name]; got != tt.file.ID.Fileid {
				t.Errorf("listed fileid of %s is %x, want %x", tt.name, got, tt.file.ID.Fileid)
			}
		}
		tr.reopen()
	}
}

// fileids lists a directory without attributes.
func (tr *tree) fileids(dir overlay.ID) map[string]uint64 {
	tr.t.Helper()
	var a overlay.Attr
	ids := map[string]uint64{}
	_, err := tr.Readdir(worker, dir, 0, false, &a, func(e *overlay.DirEntry) bool {
		ids[string(e.Name)] = e.Fileid
		return true
	})
	if err != nil {
		tr.t.Fatal(err)
	}
	return ids
}

func TestRenameToNoDirectory(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/f", "f")
	tr.open()
	wantErr(t, tr.rename(tr.Root(), "absent", tr.walk("f").ID, "x"), syscall.ENOTDIR)
}

func TestRenameIntoItself(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/d/sub/f", "f")
	tr.open()
	d := tr.walk("d")
	wantErr(t, tr.rename(tr.Root(), "d", d.ID, "x"), syscall.EINVAL)
	wantErr(t, tr.rename(tr.walk("d", "sub").ID, "f", tr.Root(), "d"), syscall.ENOTEMPTY)
	wantErr(t, tr.rename(tr.Root(), "d", tr.walk("d", "sub").ID, "x"), syscall.EINVAL)
	tr.remove(tr.walk("d", "sub").ID, "f")
	wantErr(t, tr.rename(tr.Root(), "d", tr.walk("d", "sub").ID, "f"), syscall.EINVAL)
	if got := tr.list(tr.walk("d", "sub").ID); len(got) != 0 {
		t.Errorf("sub holds %q", got)
	}
}

// What leaves a lower name leaves no moment in which the lower object shows there
// again, which a crash would make last.
func TestRenameHidesAtOnce(t *testing.T) {
	tr := newTree(t, 1)
	for i := range 200 {
		mustWrite(t, fmt.Sprintf("%s/f%d", tr.options.Lowers[0], i), "lower object")
	}
	tr.open()
	for i := range 200 {
		from, to := fmt.Sprint("f", i), fmt.Sprint("g", i)
		moved := make(chan struct{})
		go func() {
			defer close(moved)
			tr.mustRename(tr.Root(), from, tr.Root(), to)
		}()
		for { // a whiteout is empty
			st, err := os.Stat(tr.options.Upper + "/" + to)
			if err == nil && st.Size() > 0 {
				break
			}
		}
		if _, err := os.Stat(tr.options.Upper + "/" + from); err != nil {
			t.Fatalf("%s is there, and nothing hides %s", to, from)
		}
		<-moved
	}
}

// What leaves a lower name for one that is taken shows under one of the two names at every
// moment; the lower object does not show, and the new name is never missing.
func TestRenameDisplacesAtOnce(t *testing.T) {
	for _, layer := range []string{"upper", "lower"} {
		t.Run("over one of the "+layer, func(t *testing.T) {
			tr := newTree(t, 1)
			low := tr.options.Lowers[0]
			for i := range 100 {
				mustWrite(t, fmt.Sprintf("%s/a%d", low, i), "lower object")
				mustWrite(t, fmt.Sprintf("%s/b%d", map[string]string{"upper": tr.options.Upper, "lower": low}[layer], i), "old")
			}
			tr.open()
			for i := range 100 {
				from, to := fmt.Sprint("a", i), fmt.Sprint("b", i)
				tr.remove(tr.Root(), from)
				tr.create(tr.Root(), from, "new")
				var moved atomic.Bool
				var looked sync.WaitGroup
				looked.Go(func() {
					for last := false; !last; {
						last = moved.Load()
						if a, err := tr.tryWalk(from); err == nil && a.Size != uint64(len("new")) || last && err == nil {
							t.Errorf("%s is %+v", from, a)
						}
						if _, err := tr.tryWalk(to); err != nil {
							t.Errorf("%s: %v", to, err)
						}
					}
				})
				tr.mustRename(tr.Root(), from, tr.Root(), to)
				moved.Store(true)
				looked.Wait()
				if got := tr.read(tr.walk(to).ID); got != "new" {
					t.Errorf("%s reads %q", to, got)
				}
			}
			tr.reopen()
			if got := tr.list(tr.Root()); len(got) != 100 {
				t.Errorf("there are %d names left: %q", len(got), got)
			}
			tr.sameAsKernel()
		})
	}
}

// Names of one lower symlink have one fileid, in listings too, when one was copied up.
func TestFileidOfLinkedSymlink(t *testing.T) {
	tr := newTree(t, 2)
	lower := tr.options.Lowers[0]
	mustMkdir(t, lower)
	if err := os.Symlink("x", lower+"/a"); err != nil {
		t.Fatal(err)
	}
	mustLink(t, lower+"/a", lower+"/d")
	tr.open()
	a := tr.walk("a")
	var w overlay.Change
	wantErr(t, tr.Setattr(worker, a.ID, &overlay.SetAttr{SetGID: true, GID: a.GID, SetSize: true}, &w), syscall.EINVAL)
	for range 2 {
		for _, name := range []string{"a", "d"} {
			if got := tr.fileids(tr.Root())[name]; got != a.ID.Fileid {
				t.Errorf("listed fileid of %s is %x, want %x", name, got, a.ID.Fileid)
			}
			if got := tr.walk(name); got.ID != a.ID {
				t.Errorf("%s is %v, want %v", name, got.ID, a.ID)
			}
		}
		if err := os.RemoveAll(tr.options.State); err != nil {
			t.Fatal(err)
		}
		tr.reopen()
	}
}

// TestRenameOverOneNameOfSeveral replaces a name of a lower object, which is copied up
// under the name that it was met by last, by what leaves a whiteout.
func TestRenameOverOneNameOfSeveral(t *testing.T) {
	tr := newTree(t, 1)
	lower := tr.options.Lowers[0]
	mustWrite(t, lower+"/a", "lower")
	if err := syscall.Mkfifo(lower+"/b", 0o644); err != nil {
		t.Fatal(err)
	}
	mustLink(t, lower+"/b", lower+"/other")
	tr.open()
	old := tr.walk("b")
	tr.walk("other")
	tr.remove(tr.Root(), "a")
	var a overlay.Attr
	var w overlay.Change
	if err := tr.Mknod(worker, tr.Root(), []byte("a"), overlay.ModeFIFO, 0, 0, &overlay.SetAttr{}, &a, &w); err != nil {
		t.Fatal(err)
	}
	tr.mustRename(tr.Root(), "a", tr.Root(), "b")
	if got := tr.walk("b"); got.ID != a.ID {
		t.Errorf("b is %v, want %v", got.ID, a.ID)
	}
	if got := tr.walk("other"); got.ID != old.ID || got.Nlink != 1 {
		t.Errorf("the other name is %v with %d links, want %v with 1", got.ID, got.Nlink, old.ID)
	}
	if _, err := tr.tryWalk("a"); err != syscall.ENOENT {
		t.Errorf("the old name: %v", err)
	}
}
