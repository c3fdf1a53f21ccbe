package overlay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A rename that the end of the process cut short between its two steps is finished at
// the next start; before the first step, nothing has happened.
func TestRenameCutShort(t *testing.T) {
	tests := []struct {
		name   string
		plant  []string // files, with their layer
		linked bool     // the new name is in the lower alone
	}{
		{"over a file of the upper", []string{"lower/d/a", "upper/d/a", "upper/e/b"}, false},
		{"over a file of the lower", []string{"lower/d/a", "upper/d/a", "lower/e/b", "upper/e/c"}, true},
		{"over a directory", []string{"lower/d/a/f", "upper/d/a/g", "upper/e/b/"}, false},
	}
	for _, tt := range tests {
		for _, steps := range []int{0, 1} {
			t.Run(tt.name, func(t *testing.T) {
				o := plantLayers(t, tt.plant)
				fs := mustOpen(t, o)
				src, dst := mustNames(t, fs, "d"), mustNames(t, fs, "e")
				work, err := fs.dirFD(fs.work, 0)
				if err != nil {
					t.Fatal(err)
				}
				var f, to found
				n, err := fs.lookupLocked(src.node, []byte("a"), &f)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := fs.lookupLocked(dst.node, []byte("b"), &to); err != nil {
					t.Fatal(err)
				}
				a, b := cString("a\x00"), cString("b\x00")
				i := intent{moved: n.behind(), left: fs.identity(0, &to.st)}
				cover, _ := src.exchange(a, dst, b)
				if tt.linked {
					i.left = i.moved
					cover, _ = src.linkOver(work.fd, a, dst, b)
				}
				if err := src.markWhiteouts(); err != nil {
					t.Fatal(err)
				}
				if err := src.writeIntent(work.fd, &i, a, dst, b); err != nil {
					t.Fatal(err)
				}
				if steps == 1 {
					if err := cover(); err != nil {
						t.Fatal(err)
					}
				}
				fs.Close()
				fs = mustOpen(t, o)
				defer fs.Close()
				var st sysStat
				m, err := fs.lookup(blocking, mustNames(t, fs, "d").node, []byte("a"), &st)
				if steps == 0 && (err != nil || m.id != n.id) || steps == 1 && err == nil {
					t.Errorf("the old name gives %v, %v", m, err)
				}
				m, err = fs.lookup(blocking, mustNames(t, fs, "e").node, []byte("b"), &st)
				if err != nil || (m.id == n.id) != (steps == 1) {
					t.Errorf("the new name gives %v, %v", m, err)
				}
				left, err := filepath.Glob(o.Work + "/*rename*")
				if err != nil || len(left) > 0 {
					t.Errorf("the work directory holds %q, %v", left, err)
				}
			})
		}
	}
}

func plantLayers(t *testing.T, paths []string) Options {
	t.Helper()
	root := t.TempDir()
	for _, path := range paths {
		isDir := strings.HasSuffix(path, "/")
		path = filepath.Join(root, path)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if isDir {
			err = os.MkdirAll(path, 0o755)
		} else if err == nil {
			err = os.WriteFile(path, []byte(path), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return Options{Upper: root + "/upper", Lowers: []string{root + "/lower"}, Work: root + "/work", State: root + "/state"}
}

func mustOpen(t *testing.T, o Options) *FS {
	t.Helper()
	fs, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	under := fs.enter(fs.root.id) // the test holds nodes as a call does
	t.Cleanup(func() { leave(under) })
	return fs
}

func mustNames(t *testing.T, fs *FS, name string) *names {
	t.Helper()
	var st sysStat
	n, err := fs.lookup(blocking, fs.root, []byte(name), &st)
	if err != nil {
		t.Fatal(err)
	}
	in, err := fs.names(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.dir.release)
	return in
}
