package bootstrap_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/nixtarball"
	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/internal/bootstrap"
	"github.com/nixnfsd/nixnfsd/internal/nfstree"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

const system = "x86_64-linux"

// scene is a server with an upper that is empty at first.
type scene struct {
	t     *testing.T
	upper string
	tree  *nfstree.Tree
	wrote int // files, by the last unpack
	stop  func()
}

func newScene(t *testing.T) *scene {
	t.Helper()
	dir := t.TempDir()
	s := &scene{t: t, upper: filepath.Join(dir, "upper")}
	for _, name := range []string{"upper", "state"} {
		s.must(os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	s.serve()
	t.Cleanup(func() {
		s.stop()
		s.must(exec.Command("chmod", "-R", "u+w", s.upper).Run())
	})
	return s
}

// serve starts a server, which stop ends.
func (s *scene) serve() {
	s.t.Helper()
	dir := filepath.Dir(s.upper)
	fsys, err := overlay.Open(overlay.Options{Upper: s.upper, Work: filepath.Join(dir, "work"), State: filepath.Join(dir, "state")})
	s.must(err)
	server, err := testserver.Serve(nfs.Options{FS: fsys})
	s.must(err)
	s.tree, err = nfstree.Dial(s.t.Context(), server.Addr, testserver.Export)
	s.must(err)
	tree := s.tree
	s.stop = sync.OnceFunc(func() {
		err := errors.Join(server.Stop(), fsys.Close())
		_ = tree.Close() // the server has closed it
		if err != nil {
			s.t.Error(err)
		}
	})
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) unpack(ctx context.Context, r io.Reader) (*bootstrap.Unpacked, error) {
	s.wrote = 0
	return bootstrap.Unpack(ctx, s.tree, r, system, func() { s.wrote++ })
}

// names are what is in the upper's root.
func (s *scene) names() []string {
	s.t.Helper()
	entries, err := os.ReadDir(s.upper)
	s.must(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// file is a file of a store as it is on the disk.
type file struct {
	Mode    fs.FileMode
	Time    int64
	Content string // or target
}

// store reads the store from the disk.
func (s *scene) store() map[string]file {
	s.t.Helper()
	root, files := filepath.Join(s.upper, "store"), map[string]file{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f := file{Mode: info.Mode(), Time: info.ModTime().Unix()}
		switch {
		case f.Mode.IsRegular():
			var b []byte
			b, err = os.ReadFile(path)
			f.Content = string(b)
		case f.Mode&fs.ModeSymlink != 0:
			f.Content, err = os.Readlink(path)
		}
		rel, _ := filepath.Rel(root, path)
		files[rel] = f
		return err
	})
	s.must(err)
	return files
}

// tarball is a small one, with a path of each kind.
func tarball() *nixtarball.Tarball {
	lib := nixtarball.Path{Base: nixtarball.Base("lib-1"), Entries: []nixtarball.Entry{
		{Name: "lib/large.so", Content: string(bytes.Repeat([]byte("0123456789abcdef"), 70_000))},
		{Name: "lib/link.so", Mode: fs.ModeSymlink, Content: "large.so"},
		{Name: "empty", Content: ""},
	}}
	nix := nixtarball.Path{Base: nixtarball.Base("nix-2.0"), References: []string{lib.Base, nixtarball.Base("nix-2.0")}, Entries: []nixtarball.Entry{
		{Name: "bin/nix", Mode: 0o111, Content: "#!/bin/sh\n"},
		{Name: "bin/nix-store", Mode: fs.ModeSymlink, Content: "nix"},
		{Name: "Same", Content: "upper case"},
		{Name: "same", Content: "lower case"},
		{Name: ".nfs000000000000000100000002", Content: "no silly rename"},
	}}
	one := nixtarball.Path{Base: nixtarball.Base("file"), Entries: []nixtarball.Entry{{Content: "a store path that is a file"}}}
	cacert := nixtarball.Path{Base: nixtarball.Base("nss-cacert"), Entries: []nixtarball.Entry{{Name: "etc/ssl/certs/ca-bundle.crt", Content: "none"}}}
	return &nixtarball.Tarball{
		Version: "2.0", System: system, Paths: []nixtarball.Path{lib, one, nix, cacert}, Nix: nix.Base, CACert: cacert.Base,
	}
}

// edit changes the entries of a tarball as they are written.
type edit func(h *tar.Header, content []byte, put func(h *tar.Header, content []byte))

// packed compresses a tarball, changed or not.
func packed(t *testing.T, ball *nixtarball.Tarball, change edit) []byte {
	t.Helper()
	_, err := exec.LookPath("xz")
	testenv.Require(t, err == nil, "xz is not installed")
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var plain, changed, out bytes.Buffer
	must(ball.WriteTar(tar.NewWriter(&plain)))
	w := tar.NewWriter(&changed)
	for r := tar.NewReader(&plain); change != nil; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		must(err)
		content, err := io.ReadAll(r)
		must(err)
		change(h, content, func(h *tar.Header, content []byte) {
			h.Size = int64(len(content))
			must(w.WriteHeader(h))
			_, err := w.Write(content)
			must(err)
		})
	}
	if change == nil {
		changed = plain
	} else {
		must(w.Close())
	}
	must(nixtarball.Compress(t.Context(), &out, &changed))
	return out.Bytes()
}
