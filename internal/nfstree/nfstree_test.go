package nfstree_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/nfstree"
)

// TestStorePath makes a path as Nix's store has them, and looks at it in the upper.
func TestStorePath(t *testing.T) {
	tree, upper := newTree(t)
	ctx := t.Context()
	path, err := tree.Root().Mkdir(ctx, "path")
	must(t, err)
	file, err := path.Write(ctx, "data", nfstree.Data, strings.NewReader("some"))
	must(t, err)
	_, err = path.Write(ctx, "program", nfstree.Executable, strings.NewReader(""))
	must(t, err)
	must(t, path.Link(ctx, file, "again"))
	must(t, path.Symlink(ctx, "link", "data"))
	must(t, tree.Commit(ctx))
	must(t, path.Close(ctx))
	var got []string
	must(t, filepath.WalkDir(upper, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == upper {
			return err
		}
		info, err := d.Info()
		if err == nil {
			got = append(got, fmt.Sprintf("%s %v %d %d", d.Name(), info.Mode(), info.ModTime().Unix(), info.Sys().(*syscall.Stat_t).Nlink))
		}
		return err
	}))
	want := []string{"path dr-xr-xr-x 1 2", "again -r--r--r-- 1 2", "data -r--r--r-- 1 2", "link Lrwxrwxrwx 1 1", "program -r-xr-xr-x 1 1"}
	if info, err := os.Lstat(filepath.Join(upper, "path")); err == nil {
		want[0] = fmt.Sprintf("path dr-xr-xr-x 1 %d", info.Sys().(*syscall.Stat_t).Nlink) // some file systems do not count directories
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if b, err := os.ReadFile(filepath.Join(upper, "path/again")); err != nil || string(b) != "some" {
		t.Errorf("read %q, %v", b, err)
	}
}

// TestSizes writes and reads files around the size of one call.
func TestSizes(t *testing.T) {
	tree, upper := newTree(t)
	const block = 1 << 20
	for _, size := range []int{0, 1, block - 1, block, block + 1, 3*block + 7} {
		name := fmt.Sprint(size)
		content := bytes.Repeat([]byte("nix "), size/4+1)[:size]
		n, err := tree.Root().Write(t.Context(), name, nfstree.Data, iotest.HalfReader(bytes.NewReader(content)))
		must(t, err)
		if n.Size != int64(size) {
			t.Errorf("%d bytes: %d were written", size, n.Size)
		}
		if there, err := os.ReadFile(filepath.Join(upper, name)); err != nil || !bytes.Equal(there, content) {
			t.Errorf("%d bytes: the upper has %d, %v", size, len(there), err)
		}
		n, err = tree.Root().Lookup(t.Context(), name)
		must(t, err)
		var b bytes.Buffer
		if err := n.Read(t.Context(), &b); err != nil || !bytes.Equal(b.Bytes(), content) {
			t.Errorf("%d bytes: %d were read, %v", size, b.Len(), err)
		}
	}
	must(t, tree.Commit(t.Context()))
}

// TestList lists more than fits one call, whatever there is.
func TestList(t *testing.T) {
	tree, upper := newTree(t)
	want := map[string]fs.FileMode{}
	for i := range 3500 {
		name := fmt.Sprintf("%d-%s", i, strings.Repeat("n", 200))
		must(t, os.WriteFile(filepath.Join(upper, name), nil, 0o640))
		want[name] = 0o640
	}
	must(t, errors.Join(os.Mkdir(filepath.Join(upper, "dir"), 0o750), os.Symlink("x", filepath.Join(upper, "link")), syscall.Mkfifo(filepath.Join(upper, "pipe"), 0o600)))
	want["dir"], want["link"], want["pipe"] = fs.ModeDir|0o750, fs.ModeSymlink|0o777, fs.ModeIrregular|0o600
	nodes, err := tree.Root().List(t.Context())
	must(t, err)
	got := map[string]fs.FileMode{}
	for name, n := range nodes {
		got[name] = n.Mode
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if target, err := nodes["link"].Readlink(t.Context()); err != nil || target != "x" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
}

// TestRefusals has errors be those of the system's calls.
func TestRefusals(t *testing.T) {
	tree, upper := newTree(t)
	ctx, root := t.Context(), tree.Root()
	must(t, errors.Join(os.WriteFile(filepath.Join(upper, "file"), nil, 0o600), os.MkdirAll(filepath.Join(upper, "full/x"), 0o700)))
	file, err := root.Lookup(ctx, "file")
	must(t, err)
	cut := errors.New("cut")
	second := func(_ any, err error) error { return err }
	tt := []struct {
		name string
		got  error
		want error
	}{
		{"look up what is not there", second(root.Lookup(ctx, "none")), fs.ErrNotExist},
		{"look up in a file", second(file.Lookup(ctx, "x")), syscall.ENOTDIR},
		{"look up a name that is too long", second(root.Lookup(ctx, strings.Repeat("n", 256))), syscall.ENAMETOOLONG},
		{"write over a file", second(root.Write(ctx, "file", nfstree.Data, strings.NewReader("x"))), fs.ErrExist},
		{"make a directory again", second(root.Mkdir(ctx, "full")), nil},
		{"make a directory over a file", second(root.Mkdir(ctx, "file")), syscall.ENOTDIR},
		{"link over a file", root.Link(ctx, file, "full"), fs.ErrExist},
		{"rename over a directory that is full", root.Rename(ctx, "file", root, "full"), syscall.EISDIR},
		{"rename what is not there", root.Rename(ctx, "none", root, "other"), fs.ErrNotExist},
		{"list a file", second(file.List(ctx)), syscall.ENOTDIR},
		{"remove what is not there", root.RemoveAll(ctx, "none"), nil},
		{"write what cannot be read", second(root.Write(ctx, "cut", nfstree.Data, iotest.ErrReader(cut))), cut},
	}
	for _, tc := range tt {
		if !errors.Is(tc.got, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}

// TestRemoveAll removes what is closed, and not what a link leads to.
func TestRemoveAll(t *testing.T) {
	tree, upper := newTree(t)
	ctx, outside := t.Context(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "kept"), nil, 0o600))
	dir, err := tree.Root().Mkdir(ctx, "dir")
	must(t, err)
	deep, err := dir.Mkdir(ctx, "deep")
	must(t, err)
	_, err = deep.Write(ctx, "file", nfstree.Data, strings.NewReader("x"))
	must(t, errors.Join(err, deep.Symlink(ctx, "out", outside), deep.Close(ctx), dir.Close(ctx)))
	link, err := deep.Lookup(ctx, "out")
	must(t, err)
	if _, err := link.Lookup(ctx, "kept"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("through a link: got %v", err)
	}
	must(t, tree.Root().RemoveAll(ctx, "dir"))
	if left, err := os.ReadDir(upper); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	_, err = os.Stat(filepath.Join(outside, "kept"))
	must(t, err)
}

// TestRestarted has Commit tell that another server than that which was written to has the files by now.
func TestRestarted(t *testing.T) {
	upper := newDirs(t)
	before, stop := serve(t, upper)
	file, err := before.Root().Write(t.Context(), "file", nfstree.Data, strings.NewReader("x"))
	must(t, err)
	stop()
	after, stop := serve(t, upper)
	defer stop()
	must(t, after.Root().Link(t.Context(), file, "again"))
	if err := after.Commit(t.Context()); !errors.Is(err, nfstree.ErrRestarted) {
		t.Errorf("got %v", err)
	}
	must(t, after.Commit(t.Context())) // nothing is left that is not on the disk
}

// TestForks has goroutines fill a tree over one connection.
func TestForks(t *testing.T) {
	tree, _ := newTree(t)
	root := tree.Root()
	const forks, files = 4, 50
	done := make(chan error)
	for i := range forks {
		go func() {
			own := tree.Fork()
			dir, err := root.On(own).Mkdir(t.Context(), fmt.Sprint(i))
			for j := 0; err == nil && j < files; j++ {
				_, err = dir.Write(t.Context(), fmt.Sprint(j), nfstree.Data, io.LimitReader(strings.NewReader("content"), int64(j%8)))
			}
			done <- errors.Join(err, own.Commit(t.Context()))
		}()
	}
	for range forks {
		must(t, <-done)
	}
	for i := range forks {
		n, err := root.Lookup(t.Context(), fmt.Sprint(i))
		must(t, err)
		if nodes, err := n.List(t.Context()); err != nil || len(nodes) != files {
			t.Errorf("fork %d has %d files, %v", i, len(nodes), err)
		}
	}
}

func TestHolds(t *testing.T) {
	tree, upper := newTree(t)
	must(t, errors.Join(os.Mkdir(filepath.Join(upper, "dir"), 0o755), os.WriteFile(filepath.Join(upper, "dir/file"), []byte("text"), 0o600)))
	tt := []struct {
		text string
		path []string
		want bool
	}{
		{"text", []string{"dir", "file"}, true},
		{"test", []string{"dir", "file"}, false},
		{"text and more", []string{"dir", "file"}, false},
		{"tex", []string{"dir", "file"}, false},
		{"", []string{"dir", "none"}, false},
		{"", []string{"none", "file"}, false},
	}
	for _, tc := range tt {
		if got, err := tree.Root().Holds(t.Context(), tc.text, tc.path...); err != nil || got != tc.want {
			t.Errorf("%q at %q: got %v, %v", tc.text, tc.path, got, err)
		}
	}
	if _, err := tree.Root().Holds(t.Context(), "x", "dir", "file", "in it"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("in a file: got %v", err)
	}
}
