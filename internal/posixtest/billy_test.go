package posixtest_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5"

	"github.com/nixnfsd/nixnfsd/internal/posixtest"
)

// TestBillyPlain puts the billy cases to package os, which is their oracle.
func TestBillyPlain(t *testing.T) {
	posixtest.RunBilly(t, local(t.TempDir()), nil)
}

// A local is a directory as a billy file system, and nothing but calls of
// package os.
type local string

var (
	_ billy.Filesystem = local("")
	_ billy.Change     = local("")
)

type localFile struct{ *os.File }

func (localFile) Lock() error   { return nil }
func (localFile) Unlock() error { return nil }

func (l local) abs(name string) string { return filepath.Join(string(l), name) }

func (l local) Create(name string) (billy.File, error) {
	return l.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (l local) Open(name string) (billy.File, error) { return l.OpenFile(name, os.O_RDONLY, 0) }

func (l local) OpenFile(name string, flags int, mode os.FileMode) (billy.File, error) {
	f, err := os.OpenFile(l.abs(name), flags, mode)
	if err != nil {
		return nil, err
	}
	return localFile{f}, nil
}

func (l local) TempFile(dir, prefix string) (billy.File, error) {
	f, err := os.CreateTemp(l.abs(dir), prefix)
	if err != nil {
		return nil, err
	}
	return localFile{f}, nil
}

func (l local) ReadDir(name string) ([]os.FileInfo, error) {
	entries, err := os.ReadDir(l.abs(name))
	if err != nil {
		return nil, err
	}
	var infos []os.FileInfo
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			return nil, err
		}
		infos = append(infos, fi)
	}
	return infos, nil
}

func (l local) Stat(name string) (os.FileInfo, error)        { return os.Stat(l.abs(name)) }
func (l local) Lstat(name string) (os.FileInfo, error)       { return os.Lstat(l.abs(name)) }
func (l local) Rename(from, to string) error                 { return os.Rename(l.abs(from), l.abs(to)) }
func (l local) Remove(name string) error                     { return os.Remove(l.abs(name)) }
func (l local) Join(elem ...string) string                   { return filepath.Join(elem...) }
func (l local) MkdirAll(name string, mode os.FileMode) error { return os.MkdirAll(l.abs(name), mode) }

func (l local) Symlink(target, name string) error            { return os.Symlink(target, l.abs(name)) }
func (l local) Readlink(name string) (string, error)         { return os.Readlink(l.abs(name)) }
func (l local) Chroot(name string) (billy.Filesystem, error) { return local(l.abs(name)), nil }
func (l local) Root() string                                 { return string(l) }
func (l local) Chmod(name string, mode os.FileMode) error    { return os.Chmod(l.abs(name), mode) }
func (l local) Chown(name string, uid, gid int) error        { return os.Chown(l.abs(name), uid, gid) }

func (l local) Lchown(name string, uid, gid int) error { return os.Lchown(l.abs(name), uid, gid) }

func (l local) Chtimes(name string, atime, mtime time.Time) error {
	return os.Chtimes(l.abs(name), atime, mtime)
}
