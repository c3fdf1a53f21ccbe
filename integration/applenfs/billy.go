package applenfs

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/helper/chroot"
	"github.com/go-git/go-billy/v5/util"
)

// billyFS is a Mount as a billy file system.
type billyFS struct{ m *Mount }

var (
	_ billy.Filesystem = billyFS{}
	_ billy.Change     = billyFS{}
)

// Billy gives the mount as a billy file system. What it makes has the modes that it is
// asked for; nothing is masked.
func Billy(m *Mount) billy.Filesystem { return billyFS{m} }

// billyFile is a File that cannot be locked.
type billyFile struct{ *File }

func (billyFile) Lock() error   { return syscall.ENOTSUP }
func (billyFile) Unlock() error { return syscall.ENOTSUP }

// Create makes a file, or empties it.
func (b billyFS) Create(name string) (billy.File, error) {
	return b.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (b billyFS) Open(name string) (billy.File, error) { return b.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile makes missing directories too, as billy wants it.
func (b billyFS) OpenFile(name string, flag int, mode os.FileMode) (billy.File, error) {
	if flag&os.O_CREATE != 0 {
		if err := b.MkdirAll(path.Dir(name), 0o755); err != nil {
			return nil, err
		}
	}
	f, err := b.m.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return billyFile{f}, nil
}

func (b billyFS) Stat(name string) (os.FileInfo, error) { return info(b.m.Stat(name)) }

func (b billyFS) Lstat(name string) (os.FileInfo, error) { return info(b.m.Lstat(name)) }

func info(i *Info, err error) (os.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	return i, nil
}

func (b billyFS) Rename(from, to string) error {
	if err := b.MkdirAll(path.Dir(to), 0o755); err != nil {
		return err
	}
	return b.m.Rename(from, to)
}

func (b billyFS) Remove(name string) error        { return b.m.Remove(name) }
func (b billyFS) Join(elem ...string) string      { return path.Join(elem...) }
func (b billyFS) Symlink(target, at string) error { return b.m.Symlink(target, at) }

func (b billyFS) Readlink(name string) (string, error) { return b.m.Readlink(name) }

func (b billyFS) TempFile(dir, prefix string) (billy.File, error) {
	return util.TempFile(b, dir, prefix)
}

func (b billyFS) Chroot(dir string) (billy.Filesystem, error) { return chroot.New(b, dir), nil }

func (b billyFS) Root() string { return "/" }

// ReadDir is sorted, and asks for the attributes as a program does that lists them.
func (b billyFS) ReadDir(name string) ([]os.FileInfo, error) {
	entries, err := b.m.ReadDir(name)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	var got []os.FileInfo
	for _, e := range entries {
		fi, err := b.m.Lstat(path.Join(name, e.Name))
		if err != nil {
			return nil, err
		}
		got = append(got, fi)
	}
	return got, nil
}

// MkdirAll makes a directory and those above it.
func (b billyFS) MkdirAll(name string, mode os.FileMode) error {
	fi, err := b.m.Stat(name)
	switch {
	case err == nil && fi.IsDir():
		return nil
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := b.MkdirAll(path.Dir(name), mode); err != nil {
		return err
	}
	err = b.m.Mkdir(name, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil // somebody else was faster
	}
	return err
}

func (b billyFS) Chmod(name string, mode os.FileMode) error { return b.m.Chmod(name, mode) }

func (b billyFS) Chown(name string, uid, gid int) error  { return b.m.Chown(name, uid, gid) }
func (b billyFS) Lchown(name string, uid, gid int) error { return b.m.Lchown(name, uid, gid) }

func (b billyFS) Chtimes(name string, atime, mtime time.Time) error {
	return b.m.Chtimes(name, atime, mtime)
}
