package nfs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// model does on a plain directory by system calls what the client does on the
// server, and compares.
type model struct {
	w     *world
	plain string
	rand  *rand.Rand
	log   []string
}

// modelNames are few, so that calls often meet what others made.
var modelNames = []string{"a", "b", "c", "d"}

// TestModel makes random changes to a tree and to its twin on the plain file
// system: the same ones fail, if not always for the same of several reasons, and
// they lead to the same tree, over restarts too.
func TestModel(t *testing.T) {
	lower := []string{
		"a/", "a/a=1", "a/b/", "a/b/c=2", "a/d->a", "b=3", "c/", "c/a/", "c/b=4", "c/c->nowhere", "d/", "d/a=5",
	}
	for _, layered := range []bool{false, true} {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("layered %v seed %d", layered, seed), func(t *testing.T) {
				m := &model{plain: filepath.Join(t.TempDir(), "plain"), rand: rand.New(rand.NewPCG(seed, 2))}
				makeDirs(t, m.plain)
				if layered {
					layer(t, m.plain, lower...)
					m.w = newLayered(t, lower)
				} else {
					m.w = newWorld(t)
				}
				m.play(500)
			})
		}
	}
}

func (m *model) play(n int) {
	for i := range n {
		what, remote, local := m.step()
		m.log = append(m.log, what)
		_, refused := errors.AsType[nfsclient.Status](remote)
		if err := remote; (local != nil) != (err != nil) || err != nil && !refused {
			m.w.t.Fatalf("%s\nwe say %v, the file system %v", strings.Join(m.log[max(0, i-30):], "\n"), err, local)
		}
		if i%100 == 99 {
			m.compare()
			m.w.restart()
			m.compare()
		}
	}
}

// path is a random path of one to three names.
func (m *model) path() string {
	p := modelNames[m.rand.IntN(len(modelNames))]
	for range 2 {
		if m.rand.IntN(2) == 0 {
			p += "/" + modelNames[m.rand.IntN(len(modelNames))]
		}
	}
	return p
}

// dir finds the directory of a path on the server, without following symlinks.
func (m *model) dir(ctx context.Context, p string) (nfsclient.FH, error) {
	at := m.w.root
	if d := path.Dir(p); d != "." {
		for name := range strings.SplitSeq(d, "/") {
			r, err := m.w.Lookup(ctx, at, name)
			if err != nil {
				return "", err
			}
			at = r.FH
		}
	}
	return at, nil
}

// step makes one change on both sides.
func (m *model) step() (what string, remote, local error) {
	ctx, p := m.w.t.Context(), m.path()
	base, full := path.Base(p), filepath.Join(m.plain, p)
	for m.throughSymlink(p) {
		p = m.path()
		base, full = path.Base(p), filepath.Join(m.plain, p)
	}
	dir, err := m.dir(ctx, p)
	if err != nil {
		_, local := os.Lstat(full)
		return "lookup " + p, err, local
	}
	switch m.rand.IntN(8) {
	case 0:
		_, err = m.w.Mkdir(ctx, dir, base, mode(0o755))
		return "mkdir " + p, err, syscall.Mkdir(full, 0o755)
	case 1:
		_, err = m.w.Remove(ctx, dir, base)
		return "remove " + p, err, syscall.Unlink(full)
	case 2:
		_, err = m.w.Rmdir(ctx, dir, base)
		return "rmdir " + p, err, syscall.Rmdir(full)
	case 3:
		_, err = m.w.Symlink(ctx, dir, base, "a", nfsclient.SetAttr{})
		return "symlink " + p, err, syscall.Symlink("a", full)
	case 4:
		return m.create(ctx, dir, p)
	case 5:
		return m.write(ctx, dir, p)
	}
	return m.two(ctx, dir, p)
}

// throughSymlink reports whether a directory of the path is a symlink in the plain
// tree, which system calls would follow.
func (m *model) throughSymlink(p string) bool {
	for d := path.Dir(p); d != "."; d = path.Dir(d) {
		if i, err := os.Lstat(filepath.Join(m.plain, d)); err == nil && i.Mode()&os.ModeSymlink != 0 {
			return true
		}
	}
	return false
}

func (m *model) create(ctx context.Context, dir nfsclient.FH, p string) (string, error, error) {
	_, err := m.w.Create(ctx, dir, path.Base(p), nfsclient.Guarded, mode(0o644))
	fd, local := syscall.Open(filepath.Join(m.plain, p), syscall.O_CREAT|syscall.O_EXCL, 0o644)
	if local == nil {
		local = syscall.Close(fd)
	}
	return "create " + p, err, local
}

// write appends by way of a WRITE at a random place.
func (m *model) write(ctx context.Context, dir nfsclient.FH, p string) (string, error, error) {
	r, err := m.w.Lookup(ctx, dir, path.Base(p))
	full := filepath.Join(m.plain, p)
	if _, local := os.Lstat(full); err != nil || local != nil {
		return "lookup " + p, err, local
	}
	if r.Attr.Type != nfsclient.Reg {
		return "no write to " + p, nil, nil
	}
	off, data := m.rand.IntN(50), strings.Repeat(string(rune('A'+m.rand.IntN(26))), m.rand.IntN(50))
	_, err = m.w.Write(ctx, r.FH, uint64(off), nfsclient.Stable(m.rand.IntN(3)), []byte(data))
	f, local := os.OpenFile(full, os.O_WRONLY, 0)
	if local == nil {
		_, local = f.WriteAt([]byte(data), int64(off))
		f.Close()
	}
	return "write " + p, err, local
}

// two is a call with two paths: RENAME or LINK.
func (m *model) two(ctx context.Context, dir nfsclient.FH, p string) (string, error, error) {
	q := m.path()
	for m.throughSymlink(q) {
		q = m.path()
	}
	full, qfull := filepath.Join(m.plain, p), filepath.Join(m.plain, q)
	to, err := m.dir(ctx, q)
	if err != nil {
		_, local := os.Lstat(qfull)
		return "lookup " + q, err, local
	}
	if m.rand.IntN(3) > 0 {
		_, err := m.w.Rename(ctx, dir, path.Base(p), to, path.Base(q))
		return "rename " + p + " to " + q, err, syscall.Rename(full, qfull)
	}
	r, err := m.w.Lookup(ctx, dir, path.Base(p))
	if _, local := os.Lstat(full); err != nil || local != nil {
		return "lookup " + p, err, local
	}
	_, err = m.w.Link(ctx, r.FH, to, path.Base(q))
	return "link " + p + " to " + q, err, syscall.Link(full, qfull)
}

// compare compares the trees.
func (m *model) compare() {
	m.w.t.Helper()
	got, want := map[string]string{}, map[string]string{}
	m.remoteTree(got, "", m.w.root)
	m.localTree(want, "")
	if !maps.Equal(got, want) {
		m.w.same("trees after\n"+strings.Join(m.log, "\n"), got, want)
		m.w.t.FailNow()
	}
}

func (m *model) remoteTree(to map[string]string, at string, dir nfsclient.FH) {
	m.w.t.Helper()
	for _, name := range m.w.names(dir) {
		fh := m.w.lookup(dir, name)
		p, a := path.Join(at, name), m.w.attr(fh)
		switch a.Type {
		case nfsclient.Dir:
			to[p] = "directory"
			m.remoteTree(to, p, fh)
		case nfsclient.Lnk:
			r, err := m.w.Readlink(m.w.t.Context(), fh)
			m.w.must("readlink", err)
			to[p] = "to " + r.Target
		default:
			to[p] = m.w.content(fh)
		}
	}
}

func (m *model) localTree(to map[string]string, at string) {
	m.w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(m.plain, at))
	m.w.must("list", err)
	for _, e := range entries {
		p := path.Join(at, e.Name())
		full := filepath.Join(m.plain, p)
		switch {
		case e.IsDir():
			to[p] = "directory"
			m.localTree(to, p)
		case e.Type()&os.ModeSymlink != 0:
			target, err := os.Readlink(full)
			m.w.must("readlink", err)
			to[p] = "to " + target
		default:
			data, err := os.ReadFile(full)
			m.w.must("read", err)
			to[p] = string(data)
		}
	}
}
