package overlay

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/helper/chroot"
)

// Billy gives the merged tree as a billy.Filesystem with billy.Change: for
// programs that work on it without a mount. Paths start at the overlay's root, and
// so do absolute symbolic links. What is made belongs to the process. Errors are
// *fs.PathError around syscall.Errno, and *os.LinkError from Rename. A FileInfo's Sys is
// an *Attr. An open file holds nothing open: it gives ESTALE once it is removed.
func Billy(o *FS) billy.Filesystem {
	return &billyFS{o: o, who: Caller{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), MayBlock: true}}
}

type billyFS struct {
	o   *FS
	who Caller
}

var (
	_ billy.Change  = (*billyFS)(nil)
	_ billy.Capable = (*billyFS)(nil)
)

// Capabilities are all but locks.
func (b *billyFS) Capabilities() billy.Capability {
	return billy.AllCapabilities &^ billy.LockCapability
}

func pathErr(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// parent gives the directory of a path's last name, and that name.
func (b *billyFS) parent(name string) (dir ID, base string, err error) {
	parts := splitPath(name)
	if len(parts) == 0 {
		return dir, "", syscall.EBUSY
	}
	base = parts[len(parts)-1]
	if base == ".." {
		return dir, "", syscall.EINVAL
	}
	if err := checkName(base); err != nil {
		return dir, "", err
	}
	a, err := b.resolve(strings.Join(parts[:len(parts)-1], "/"), true)
	if err == nil && !a.IsDir() {
		err = syscall.ENOTDIR
	}
	return a.ID, base, err
}

func (b *billyFS) Create(name string) (billy.File, error) {
	return b.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

func (b *billyFS) Open(name string) (billy.File, error) { return b.OpenFile(name, os.O_RDONLY, 0) }

func (b *billyFS) OpenFile(name string, flag int, perm os.FileMode) (billy.File, error) {
	a, err := b.open(name, flag, perm)
	if err != nil {
		return nil, pathErr("open", name, err)
	}
	return &billyFile{b: b, name: name, id: a.ID, flag: flag}, nil
}

func (b *billyFS) open(name string, flag int, perm os.FileMode) (Attr, error) {
	a, err := b.resolve(name, true)
	if errors.Is(err, syscall.ENOENT) && flag&os.O_CREATE != 0 {
		return b.create(name, flag, perm)
	}
	switch {
	case err != nil:
		return a, err
	case flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return a, syscall.EEXIST
	case a.IsDir():
		return a, syscall.EISDIR
	}
	if flag&os.O_TRUNC != 0 {
		var w Change
		err = b.o.Setattr(b.who, a.ID, &SetAttr{SetSize: true}, &w)
	}
	return a, err
}

// create makes a file, and the directories that lead to it, as billy's own file
// systems do.
func (b *billyFS) create(name string, flag int, perm os.FileMode) (a Attr, err error) {
	if err := b.mkdirAll(path.Dir(path.Clean("/"+name)), 0o755); err != nil {
		return a, err
	}
	dir, base, err := b.parent(name)
	if err != nil {
		return a, err
	}
	how := CreateHow{Attr: SetAttr{SetMode: true, Mode: modeBits(perm)}}
	if flag&os.O_EXCL != 0 {
		how.Mode = Guarded
	}
	var w Change
	err = b.o.Create(b.who, dir, []byte(base), &how, &a, &w)
	return a, err
}

func (b *billyFS) Stat(name string) (os.FileInfo, error) { return b.info("stat", name, true) }

func (b *billyFS) Lstat(name string) (os.FileInfo, error) { return b.info("lstat", name, false) }

func (b *billyFS) info(op, name string, follow bool) (os.FileInfo, error) {
	a, err := b.resolve(name, follow)
	if err != nil {
		return nil, pathErr(op, name, err)
	}
	return &billyInfo{path.Base(path.Clean("/" + name)), a}, nil
}

func (b *billyFS) Rename(from, to string) error {
	err := b.rename(from, to)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func (b *billyFS) rename(from, to string) error {
	if err := b.mkdirAll(path.Dir(path.Clean("/"+to)), 0o755); err != nil {
		return err
	}
	fd, fb, err := b.parent(from)
	if err != nil {
		return err
	}
	td, tb, err := b.parent(to)
	if err != nil {
		return err
	}
	var w1, w2 Change
	return b.o.Rename(b.who, fd, []byte(fb), td, []byte(tb), &w1, &w2)
}

func (b *billyFS) Remove(name string) error {
	dir, base, err := b.parent(name)
	if err == nil {
		var w Change
		err = b.o.Remove(b.who, dir, []byte(base), &w)
		if errors.Is(err, syscall.EISDIR) {
			err = b.o.Rmdir(b.who, dir, []byte(base), &w)
		}
	}
	return pathErr("remove", name, err)
}

func (b *billyFS) Join(elem ...string) string { return filepath.Join(elem...) }

func (b *billyFS) TempFile(dir, prefix string) (billy.File, error) {
	for range 10000 {
		name := b.Join(dir, prefix+strconv.FormatUint(rand.Uint64(), 36))
		f, err := b.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, pathErr("open", b.Join(dir, prefix), syscall.EEXIST)
}

func (b *billyFS) ReadDir(name string) ([]os.FileInfo, error) {
	a, err := b.resolve(name, true)
	if err != nil {
		return nil, pathErr("readdir", name, err)
	}
	var infos []os.FileInfo
	_, err = b.o.Readdir(b.who, a.ID, 0, true, &a, func(e *DirEntry) bool {
		if s := string(e.Name); s != "." && s != ".." && e.Attr != nil {
			infos = append(infos, &billyInfo{s, *e.Attr})
		}
		return true
	})
	slices.SortFunc(infos, func(x, y os.FileInfo) int { return strings.Compare(x.Name(), y.Name()) })
	return infos, pathErr("readdir", name, err)
}

func (b *billyFS) MkdirAll(name string, perm os.FileMode) error {
	return pathErr("mkdir", name, b.mkdirAll(name, perm))
}

func (b *billyFS) mkdirAll(name string, perm os.FileMode) error {
	parts := splitPath(name)
	for i := range parts {
		sofar := strings.Join(parts[:i+1], "/")
		a, err := b.resolve(sofar, true)
		switch {
		case errors.Is(err, syscall.ENOENT):
			err = b.mkdir(sofar, perm)
		case err == nil && !a.IsDir():
			err = syscall.ENOTDIR
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *billyFS) mkdir(name string, perm os.FileMode) error {
	dir, base, err := b.parent(name)
	if err != nil {
		return err
	}
	var a Attr
	var w Change
	err = b.o.Mkdir(b.who, dir, []byte(base), &SetAttr{SetMode: true, Mode: modeBits(perm)}, &a, &w)
	if errors.Is(err, syscall.EEXIST) { // another was faster
		return nil
	}
	return err
}

func (b *billyFS) Symlink(to, name string) error {
	if err := b.mkdirAll(path.Dir(path.Clean("/"+name)), 0o755); err != nil {
		return pathErr("symlink", name, err)
	}
	dir, base, err := b.parent(name)
	if err == nil {
		var a Attr
		var w Change
		err = b.o.Symlink(b.who, dir, []byte(base), []byte(to), &SetAttr{}, &a, &w)
	}
	return pathErr("symlink", name, err)
}

func (b *billyFS) Readlink(name string) (string, error) {
	a, err := b.resolve(name, false)
	var to []byte
	if err == nil {
		to, err = b.o.Readlink(a.ID, nil, &a)
	}
	return string(to), pathErr("readlink", name, err)
}

func (b *billyFS) Chmod(name string, mode os.FileMode) error {
	return b.set("chmod", name, true, &SetAttr{SetMode: true, Mode: modeBits(mode)})
}

func (b *billyFS) Lchown(name string, uid, gid int) error {
	return b.set("lchown", name, false, owner(uid, gid))
}

func (b *billyFS) Chown(name string, uid, gid int) error {
	return b.set("chown", name, true, owner(uid, gid))
}

// owner leaves what is -1, as chown(2) does.
func owner(uid, gid int) *SetAttr {
	return &SetAttr{SetUID: uid != -1, UID: uint32(uid), SetGID: gid != -1, GID: uint32(gid)}
}

func (b *billyFS) Chtimes(name string, atime, mtime time.Time) error {
	return b.set("chtimes", name, true, &SetAttr{
		SetAtime: ClientTime, Atime: fromTime(atime), SetMtime: ClientTime, Mtime: fromTime(mtime),
	})
}

func fromTime(t time.Time) Time { return Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())} }

func (b *billyFS) set(op, name string, follow bool, s *SetAttr) error {
	a, err := b.resolve(name, follow)
	if err == nil {
		var w Change
		err = b.o.Setattr(b.who, a.ID, s, &w)
	}
	return pathErr(op, name, err)
}

func (b *billyFS) Chroot(name string) (billy.Filesystem, error) { return chroot.New(b, name), nil }

func (b *billyFS) Root() string { return "/" }
