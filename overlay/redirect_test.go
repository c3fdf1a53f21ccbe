package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// A link in a layer leads nowhere, and not out of it.
func TestRedirectThroughLink(t *testing.T) {
	for _, to := range []string{"/l", "/l/p", "l"} {
		t.Run(to, func(t *testing.T) {
			tr := newTree(t, 2)
			tr.spoilt = true
			outside := t.TempDir()
			writeTree(t, outside, "p/secret=x")
			if err := os.Symlink(outside, tr.options.Lowers[0]+"/l"); err != nil {
				t.Fatal(err)
			}
			writeTree(t, tr.options.Lowers[1], "l/p/g=2")
			writeMarked(t, tr.options.Upper, "d/f=0 d:redirect="+to)
			tr.open()
			if got := tr.list(tr.walk("d").ID); !slices.Equal(got, []string{"f"}) {
				t.Errorf("d holds %q", got)
			}
			tr.sameAsKernel()
		})
	}
}

// A mark that is longer than any path is no good. Only some file systems can hold one.
func TestRedirectTooLong(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "overlay")
	testenv.Require(t, err == nil, fmt.Sprint("no tmpfs: ", err))
	t.Cleanup(func() { os.RemoveAll(dir) })
	tr := newTree(t, 1)
	tr.spoilt = true
	tr.options.Upper = dir + "/upper"
	writeMarked(t, tr.options.Upper, "d/f=0 d:redirect="+strings.Repeat("/a", 2500))
	tr.open()
	var a overlay.Attr
	_, err = tr.Readdir(worker, tr.walk("d").ID, 0, false, &a, func(*overlay.DirEntry) bool { return true })
	wantErr(t, err, syscall.EINVAL)
}

// step does one change; its paths are relative to the root.
func (tr *tree) step(line string) {
	tr.t.Helper()
	var w overlay.Change
	words := strings.Fields(line)
	dir, name := tr.parent(words[1])
	switch words[0] {
	case "mv":
		to, toName := tr.parent(words[2])
		tr.mustRename(dir, name, to, toName)
	case "mkdir":
		tr.mkdir(dir, name, 0o755)
	case "rm":
		tr.remove(dir, name)
	case "rmdir":
		if err := tr.Rmdir(worker, dir, []byte(name), &w); err != nil {
			tr.t.Fatalf("%s: %v", line, err)
		}
	case "write":
		if _, err := tr.tryWalk(strings.Split(words[1], "/")...); err != nil {
			tr.create(dir, name, words[2])
			return
		}
		tr.write(tr.walk(strings.Split(words[1], "/")...).ID, words[2])
	default:
		tr.t.Fatalf("unknown step %q", line)
	}
}

func (tr *tree) steps(lines ...string) {
	tr.t.Helper()
	for _, line := range lines {
		tr.step(line)
	}
}

// parent gives the directory of a path, and the last name.
func (tr *tree) parent(path string) (overlay.ID, string) {
	tr.t.Helper()
	names := strings.Split(path, "/")
	return tr.walk(names[:len(names)-1]...).ID, names[len(names)-1]
}

// shows gives all paths with what they are: a directory's with a slash, else the data.
func (tr *tree) shows() string {
	tr.t.Helper()
	return strings.TrimSpace(tr.showsIn(tr.Root(), ""))
}

func (tr *tree) showsIn(dir overlay.ID, path string) (all string) {
	tr.t.Helper()
	for _, name := range tr.list(dir) {
		var a, d overlay.Attr
		if _, err := tr.Lookup(worker, dir, []byte(name), &a, &d); err != nil {
			tr.t.Errorf("%s%s: %v", path, name, err)
		} else if a.IsDir() {
			all += " " + path + name + "/" + tr.showsIn(a.ID, path+name+"/")
		} else if a.Mode&overlay.ModeType == overlay.ModeRegular {
			all += " " + path + name + "=" + tr.read(a.ID)
		} else {
			all += " " + path + name
		}
	}
	return all
}

// writeTree makes files "path=data" and directories "path/" in a layer.
func writeTree(t *testing.T, layer string, files string) {
	t.Helper()
	for _, f := range strings.Fields(files) {
		if path, data, isFile := strings.Cut(f, "="); isFile {
			mustWrite(t, filepath.Join(layer, path), data)
		} else {
			mustMkdir(t, filepath.Join(layer, path))
		}
	}
}

// writeMarked is writeTree that also gives directories marks: "path:mark=value".
func writeMarked(t *testing.T, layer string, files string) {
	t.Helper()
	for _, f := range strings.Fields(files) {
		path, mark, isMark := strings.Cut(f, ":")
		if !isMark {
			writeTree(t, layer, f)
			continue
		}
		mark, value, _ := strings.Cut(mark, "=")
		err := unix.Setxattr(filepath.Join(layer, path), "user.overlay."+mark, []byte(value), 0)
		testenv.Require(t, err == nil, fmt.Sprintf("cannot set %s of %d bytes: %v", mark, len(value), err))
	}
}

func TestRenameLowerDirectory(t *testing.T) {
	tests := []struct {
		name   string
		lowers []string
		upper  string
		steps  []string
		want   string
		inTop  []string // all that the upper holds besides whiteouts
	}{
		{
			"to another name",
			[]string{"d/f=1 d/sub/g=2"},
			"",
			[]string{"mv d e"},
			"e/ e/f=1 e/sub/ e/sub/g=2",
			[]string{"e"},
		}, {
			"merged of three layers",
			[]string{"d/f=1 d/s/x=1", "d/f=2 d/s/y=2", "d/g=3 d/s/z=3"},
			"d/h=0",
			[]string{"mv d e", "write e/s/y Y"},
			"e/ e/f=1 e/g=3 e/h=0 e/s/ e/s/x=1 e/s/y=Y e/s/z=3",
			[]string{"e", "e/h", "e/s", "e/s/y"},
		}, {
			"into another directory and out again",
			[]string{"d/f=1 o/"},
			"",
			[]string{"mv d o/d", "mv o/d e"},
			"e/ e/f=1 o/",
			[]string{"e", "o"},
		}, {
			"and back",
			[]string{"d/f=1 d/g=1"},
			"",
			[]string{"mv d e", "rm e/f", "mv e d"},
			"d/ d/g=1",
			[]string{"d"},
		}, {
			"inside a renamed one",
			[]string{"d/s/t/f=1", "d/s/t/g=2"},
			"",
			[]string{"mv d e", "mv e/s e/r", "mv e/r/t u"},
			"e/ e/r/ u/ u/f=1 u/g=2",
			[]string{"e", "e/r", "u"},
		}, {
			"then the one above",
			[]string{"d/s/t/f=1"},
			"",
			[]string{"mv d/s/t d/s/u", "mv d/s d/r", "mv d e"},
			"e/ e/r/ e/r/u/ e/r/u/f=1",
			[]string{"e", "e/r", "e/r/u"},
		}, {
			"two change places",
			[]string{"a/s/f=1 b/s/g=2"},
			"",
			[]string{"mv a c", "mv b a", "mv c b", "mv a/s t", "mv b/s a/s", "mv t b/s"},
			"a/ a/s/ a/s/f=1 b/ b/s/ b/s/g=2",
			[]string{"a", "a/s", "b", "b/s"},
		}, {
			"another takes the old name",
			[]string{"d/f=1 d/s/g=1"},
			"",
			[]string{"mv d e", "mkdir d", "mkdir d/s", "write d/f new"},
			"d/ d/f=new d/s/ e/ e/f=1 e/s/ e/s/g=1",
			[]string{"d", "d/f", "d/s", "e"},
		}, {
			"into what took its old name",
			[]string{"d/f=1"},
			"",
			[]string{"mv d e", "mkdir d", "mv e d/d"},
			"d/ d/d/ d/d/f=1",
			[]string{"d", "d/d"},
		}, {
			"over one that lower layers have",
			[]string{"d/f=1 e/", "e/"},
			"",
			[]string{"mv d e"},
			"e/ e/f=1",
			[]string{"e"},
		}, {
			"over one that was emptied",
			[]string{"d/f=1 e/g=1 e/h=1", "e/g=2"},
			"e/i=0",
			[]string{"rm e/g", "rm e/h", "rm e/i", "mv d e"},
			"e/ e/f=1",
			[]string{"e"},
		}, {
			"over a name that was removed",
			[]string{"d/f=1 e=file", "e/g=2"},
			"",
			[]string{"rm e", "mv d e"},
			"e/ e/f=1",
			[]string{"e"},
		}, {
			"a file of the upper that merges above",
			[]string{"d/f=1", "d=2"},
			"",
			[]string{"mv d e"},
			"e/ e/f=1",
			[]string{"e"},
		}, {
			"and removed",
			[]string{"d/s/f=1 d/g=1"},
			"",
			[]string{"mv d e", "mv e/s d", "rm e/g", "rmdir e", "rm d/f", "rmdir d", "mkdir d", "mkdir e"},
			"d/ e/",
			[]string{"d", "e"},
		}, {
			"one of the upper into it",
			[]string{"d/f=1 d/u/x=1"},
			"u/g=0",
			[]string{"mv d e", "rm e/u/x", "mv u e/u", "mv e d"},
			"d/ d/f=1 d/u/ d/u/g=0",
			[]string{"d", "d/u", "d/u/g"},
		}, {
			"with names in it that are gone",
			[]string{"d/s/f=1 d/s/g=1 d/x=1"},
			"",
			[]string{"rm d/s/f", "rm d/x", "mv d e", "mv e/s s"},
			"e/ s/ s/g=1",
			[]string{"e", "s"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, len(tt.lowers))
			for i, files := range tt.lowers {
				writeTree(t, tr.options.Lowers[i], files)
			}
			writeTree(t, tr.options.Upper, tt.upper)
			before := sums(t, tr.options.Lowers)
			tr.open()
			tr.steps(tt.steps...)
			for range 2 {
				if got := tr.shows(); got != tt.want {
					t.Errorf("it shows\n%s, want\n%s", got, tt.want)
				}
				tr.consistent(tr.Root(), "")
				tr.reopen()
			}
			tr.sameAsKernel()
			if got := inUpper(t, tr); !slices.Equal(got, tt.inTop) {
				t.Errorf("the upper holds %q, want %q", got, tt.inTop)
			}
			if after := sums(t, tr.options.Lowers); after != before {
				t.Errorf("lower directories changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

// inUpper gives the paths in the upper but for whiteouts.
func inUpper(t *testing.T, tr *tree) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(tr.options.Upper, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == tr.options.Upper {
			return err
		}
		if i, err := d.Info(); err == nil && (d.IsDir() || i.Size() > 0) {
			paths = append(paths, path[len(tr.options.Upper)+1:])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// What is inside a renamed directory keeps its handle, whether it was met before the
// rename, after it, or after the server started again; so does the directory.
func TestRenameKeepsIDs(t *testing.T) {
	tr := newTree(t, 2)
	writeTree(t, tr.options.Lowers[0], "d/f=1 d/s/g=1")
	writeTree(t, tr.options.Lowers[1], "d/f=2 d/s/h=2 d/l/i=2")
	tr.open()
	paths := []string{"", "/f", "/s", "/s/g", "/s/h", "/l", "/l/i"}
	known := map[string]overlay.ID{}
	for _, path := range paths {
		known[path] = tr.walk(strings.Split("d"+path, "/")...).ID
	}
	for _, move := range []string{"mv d e", "mv e f", "mkdir e", "mv f e/f", "mv e/f d", "mv d e/d"} {
		tr.reopen()
		tr.step(move)
		w := strings.Fields(move)
		if w[0] != "mv" {
			continue
		}
		at := w[2]
		for range 2 {
			for _, path := range paths {
				var a overlay.Attr
				if err := tr.Getattr(known[path], &a); err != nil {
					t.Errorf("after %s, the handle of %q: %v", move, path, err)
				}
				if got := tr.walk(strings.Split(at+path, "/")...); got != a {
					t.Errorf("after %s, %q is %+v, by its handle %+v", move, path, got, a)
				}
			}
			if got := tr.read(known["/s/h"]); got != "2" {
				t.Errorf("after %s, read %q", move, got)
			}
			tr.reopen()
		}
	}
}

// A directory whose path is too long for a redirect is copied up whole.
func TestRenameLowerDirectoryTooDeep(t *testing.T) {
	tr := newTree(t, 1)
	deep := *tr
	deep.options = overlay.Options{Upper: tr.options.Lowers[0]}
	deep.open()
	dir := deep.Root()
	names := []string{}
	for range 20 {
		names = append(names, strings.Repeat("n", 255))
		dir = deep.mkdir(dir, names[0], 0o755).ID
	}
	d := deep.mkdir(dir, "d", 0o755)
	deep.create(d.ID, "f", "data")
	deep.mkdir(d.ID, "s", 0o755)
	if err := deep.Close(); err != nil {
		t.Fatal(err)
	}
	tr.open()
	id := tr.walk(append(names, "d", "f")...).ID
	tr.mustRename(tr.walk(names...).ID, "d", tr.Root(), "e")
	for range 2 {
		if got := tr.walk("e", "f"); got.ID != id || tr.read(id) != "data" {
			t.Errorf("e/f is %v, %q, was %v", got.ID, tr.read(id), id)
		}
		if got := tr.list(tr.walk("e").ID); !slices.Equal(got, []string{"f", "s"}) {
			t.Errorf("e holds %q", got)
		}
		if got := tr.list(tr.walk(names...).ID); len(got) != 0 {
			t.Errorf("it left %q", got)
		}
		tr.reopen()
	}
	_, err := os.Lstat(filepath.Join(tr.options.Upper, "e", "f"))
	if err != nil {
		t.Error(err)
	}
}

// A rename that fails after the directory was marked leaves it where it was, whole.
func TestRenameLowerDirectoryFails(t *testing.T) {
	tr := newTree(t, 1)
	writeTree(t, tr.options.Lowers[0], "d/f=1 d/s/g=1 e/x=1")
	tr.open()
	before := tr.shows()
	for range 2 {
		wantErr(t, tr.rename(tr.Root(), "d", tr.Root(), "e"), syscall.ENOTEMPTY)
		if got := tr.shows(); got != before {
			t.Errorf("it shows\n%s, before\n%s", got, before)
		}
		tr.reopen()
	}
	tr.sameAsKernel()
}

// Redirects and opaque marks in any layer lead where they lead the kernel.
func TestRedirectsOfLayers(t *testing.T) {
	tests := []struct {
		name   string
		layers []string // the upper first; "path:mark=value" marks a directory
		want   string
		err    error // of listing "d"
	}{
		{"another name in the same directory", []string{"d/f=0 d:redirect=o", "o/g=1 d/x=1 o:opaque=n"}, "d/ d/f=0 d/g=1 o/ o/g=1", nil},
		{"a path", []string{"d/f=0 d:redirect=/p/o", "p/o/g=1 p/d/x=1"}, "d/ d/f=0 d/g=1 p/ p/d/ p/d/x=1 p/o/ p/o/g=1", nil},
		{"a path in a middle layer", []string{"d/f=0", "d/g=1 d:redirect=/p/o", "d/h=2 p/o/i=2"}, "d/ d/f=0 d/g=1 d/i=2 p/ p/o/ p/o/i=2", nil},
		{
			"one after another",
			[]string{"d/f=0 d:redirect=/p", "p/g=1 p:redirect=/q", "q/h=2 p/x=2 q:redirect=r", "q/x=3 r/i=3"},
			"d/ d/f=0 d/g=1 d/h=2 d/i=3 p/ p/g=1 p/h=2 p/i=3 q/ q/h=2 q/i=3 r/ r/i=3", nil,
		},
		{
			"one on the way of another",
			[]string{"d/ d:redirect=/p/o", "p/o/g=1 p:redirect=/q", "q/o/h=2 p/o/x=2"},
			"d/ d/g=1 d/h=2 p/ p/o/ p/o/g=1 p/o/h=2 q/ q/o/ q/o/h=2", nil,
		},
		{
			"a name on the way of another",
			[]string{"d/ d:redirect=/p/o", "p/o/g=1 p:redirect=q", "q/o/h=2 p/o/x=2"},
			"d/ d/g=1 d/h=2 p/ p/o/ p/o/g=1 p/o/h=2 q/ q/o/ q/o/h=2", nil,
		},
		{
			"an opaque directory on the way",
			[]string{"d/ d:redirect=/p/o", "p/o/g=1 p:opaque=y", "p/o/x=2 p/y=2"},
			"d/ d/g=1 p/ p/o/ p/o/g=1", nil,
		},
		{
			"a path from an opaque directory",
			[]string{"d/ d:redirect=/p/o", "p/o/g=1 p:opaque=y p/o:redirect=/q", "q/h=2 p/o/x=2"},
			"d/ d/g=1 d/h=2 p/ p/o/ p/o/g=1 p/o/h=2 q/ q/h=2", nil,
		},
		{
			"a name from an opaque directory",
			[]string{"d/ d:redirect=/p/o", "p/o/g=1 p:opaque=y p/o:redirect=q", "p/q/h=2 p/o/x=2"},
			"d/ d/g=1 p/ p/o/ p/o/g=1", nil,
		},
		{"of an opaque directory", []string{"d/f=0 d:redirect=/o d:opaque=y", "o/g=1"}, "d/ d/f=0 o/ o/g=1", nil},
		{"to nothing", []string{"d/f=0 d:redirect=/o/p", "o/g=1 d/x=1"}, "d/ d/f=0 o/ o/g=1", nil},
		{"to nothing in the first", []string{"d/f=0 d:redirect=/o/p", "o/g=1", "o/p/h=2"}, "d/ d/f=0 d/h=2 o/ o/g=1 o/p/ o/p/h=2", nil},
		{"to a file", []string{"d/f=0 d:redirect=/o", "o=1", "o/g=2"}, "d/ d/f=0 o=1", nil},
		{"through a file", []string{"d/f=0 d:redirect=/o/p", "o=1", "o/p/g=2"}, "d/ d/f=0 o=1", nil},
		{"in the last layer", []string{"d/f=0", "d/g=1 d:redirect=/../x"}, "d/ d/f=0 d/g=1", nil},
		{"upwards", []string{"d/f=0 d:redirect=/o/../..", "o/g=1"}, "", syscall.EACCES},
		{"upwards by a name", []string{"d/f=0 d:redirect=..", "o/g=1"}, "", syscall.EACCES},
		{"to the same", []string{"d/f=0 d:redirect=/o/.", "o/g=1"}, "", syscall.EACCES},
		{"to the root", []string{"d/f=0 d:redirect=/", "o/g=1"}, "", syscall.EINVAL},
		{"with an empty name", []string{"d/f=0 d:redirect=/o//p", "o/p/g=1"}, "", syscall.EINVAL},
		{"with a path without a root", []string{"d/f=0 d:redirect=o/p", "o/p/g=1"}, "", syscall.EINVAL},
		{"in a lower layer, upwards", []string{"d/f=0", "d/ d:redirect=/..", "d/x=2"}, "", syscall.EACCES},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, len(tt.layers)-1)
			tr.spoilt = true
			for i, layer := range append([]string{tr.options.Upper}, tr.options.Lowers...) {
				writeMarked(t, layer, tt.layers[i])
			}
			tr.open()
			if tt.err != nil {
				var a overlay.Attr
				_, err := tr.Readdir(worker, tr.walk("d").ID, 0, false, &a, func(*overlay.DirEntry) bool { return true })
				wantErr(t, err, tt.err)
				return
			}
			if got := tr.shows(); got != tt.want {
				t.Errorf("it shows\n%s, want\n%s", got, tt.want)
			}
			tr.sameAsKernel()
			before := tr.shows()
			tr.steps("mv d moved", "mkdir new", "mv moved new/d")
			tr.sameAsKernel()
			tr.reopen()
			tr.steps("mv new/d d", "rmdir new")
			if got := tr.shows(); got != before {
				t.Errorf("moved there and back, it shows\n%s, before\n%s", got, before)
			}
			tr.consistent(tr.Root(), "")
		})
	}
}

// An upper serves as a lower directory under the next one, with its redirects, whiteouts
// and opaque directories.
func TestUpperBecomesLower(t *testing.T) {
	tr := newTree(t, 2)
	for i, lower := range tr.options.Lowers {
		plant(t, lower, uint64(i))
	}
	for generation := range 3 {
		tr.open()
		tr.storm()
		for range 2 {
			tr.consistent(tr.Root(), "")
			tr.reopen()
		}
		tr.sameAsKernel()
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		tr.options.Lowers = append([]string{tr.options.Upper}, tr.options.Lowers...)
		tr.options.Upper = filepath.Join(t.TempDir(), fmt.Sprint("upper", generation))
		mustMkdir(t, tr.options.Upper)
		tr.open()
		tr.sameAsKernel()
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
