package applenfs

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// maxLinks is how many symbolic links a path may lead through (MAXSYMLINKS).
const maxLinks = 32

// walk finds what a path from the root names.
func (m *Mount) walk(name string, follow bool) (*node, error) {
	dir, last, err := m.walkParent(name)
	if err != nil || last == "" {
		return dir, err
	}
	for range maxLinks {
		n, err := m.lookup(dir, last, toFind)
		if err != nil || !follow || n.kind != nfsclient.Lnk {
			return n, err
		}
		if dir, last, err = m.followLink(dir, n); err != nil || last == "" {
			return dir, err
		}
	}
	return nil, syscall.ELOOP
}

// walkParent finds the directory of a path's last component, which is "" for the root.
func (m *Mount) walkParent(name string) (dir *node, last string, err error) {
	left := maxLinks
	return m.descend(m.root, name, &left)
}

// descend goes down to the last component.
func (m *Mount) descend(dir *node, name string, left *int) (*node, string, error) {
	if strings.HasPrefix(name, "/") {
		dir = m.root
	}
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	if len(parts) == 0 {
		return dir, "", nil
	}
	for _, part := range parts[:len(parts)-1] {
		n, err := m.lookup(dir, part, toFind)
		if err == nil && n.kind == nfsclient.Lnk {
			n, err = m.throughLink(dir, n, left)
		}
		if err == nil && !n.isDir() {
			err = syscall.ENOTDIR
		}
		if err != nil {
			return nil, "", err
		}
		dir = n
	}
	return dir, parts[len(parts)-1], nil
}

// throughLink finds what a symbolic link inside a path names.
func (m *Mount) throughLink(dir, n *node, left *int) (*node, error) {
	if *left--; *left < 0 {
		return nil, syscall.ELOOP
	}
	target, err := m.readlink(n)
	if err != nil {
		return nil, err
	}
	dir, last, err := m.descend(dir, target, left)
	if err != nil || last == "" {
		return dir, err
	}
	n, err = m.lookup(dir, last, toFind)
	if err == nil && n.kind == nfsclient.Lnk {
		return m.throughLink(dir, n, left)
	}
	return n, err
}

// followLink gives the directory and last component of a link's target.
func (m *Mount) followLink(dir, n *node) (*node, string, error) {
	target, err := m.readlink(n)
	if err != nil {
		return nil, "", err
	}
	left := maxLinks
	return m.descend(dir, target, &left)
}

// Info is what stat(2) tells.
type Info struct {
	name string
	Attr nfsclient.Attr
}

// Name implements fs.FileInfo.
func (i *Info) Name() string { return i.name }

// Size implements fs.FileInfo.
func (i *Info) Size() int64 { return int64(i.Attr.Size) }

// ModTime implements fs.FileInfo.
func (i *Info) ModTime() time.Time { return i.Attr.Mtime.Time() }

// IsDir implements fs.FileInfo.
func (i *Info) IsDir() bool { return i.Attr.Type == nfsclient.Dir }

// Sys implements fs.FileInfo: it gives the attributes.
func (i *Info) Sys() any { return &i.Attr }

var kinds = map[nfsclient.Type]fs.FileMode{
	nfsclient.Dir: fs.ModeDir, nfsclient.Lnk: fs.ModeSymlink, nfsclient.FIFO: fs.ModeNamedPipe, nfsclient.Sock: fs.ModeSocket,
	nfsclient.Blk: fs.ModeDevice, nfsclient.Chr: fs.ModeDevice | fs.ModeCharDevice,
}

var specialBits = map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000}

// Mode implements fs.FileInfo.
func (i *Info) Mode() fs.FileMode {
	mode := fs.FileMode(i.Attr.Mode&0o777) | kinds[i.Attr.Type]
	for flag, bit := range specialBits {
		if i.Attr.Mode&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

func modeBits(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for flag, bit := range specialBits {
		if mode&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

// Stat follows symbolic links, and Lstat does not.
func (m *Mount) Stat(name string) (*Info, error) { return m.stat("stat", name, true) }

// Lstat is lstat(2).
func (m *Mount) Lstat(name string) (*Info, error) { return m.stat("lstat", name, false) }

func (m *Mount) stat(op, name string, follow bool) (*Info, error) {
	defer m.begin()()
	n, err := m.walk(name, follow)
	if err == nil {
		err = m.attrs(n, cached)
	}
	if err != nil {
		return nil, pathError(op, name, err)
	}
	return &Info{path.Base(name), n.attr}, nil
}

// do carries out op with what a path names.
func (m *Mount) do(op, name string, follow bool, call func(*node) error) error {
	defer m.begin()()
	n, err := m.walk(name, follow)
	if err == nil {
		err = call(n)
	}
	return pathError(op, name, err)
}

// change is do for what changes attributes, and the companion's along.
func (m *Mount) change(op, name string, follow bool, s *nfsclient.SetAttr) error {
	return m.do(op, name, follow, func(n *node) error { return m.setAll(n, s) })
}

func (m *Mount) setAll(n *node, s *nfsclient.SetAttr) error {
	if err := m.setattr(n, s); err != nil {
		return err
	}
	return m.setattrCompanion(n, s)
}

// Chmod is chmod(2).
func (m *Mount) Chmod(name string, mode fs.FileMode) error {
	bits := modeBits(mode)
	return m.change("chmod", name, true, &nfsclient.SetAttr{Mode: &bits})
}

// Chown is chown(2), Lchown lchown(2); -1 leaves an ID as it is.
func (m *Mount) Chown(name string, uid, gid int) error {
	return m.change("chown", name, true, owners(uid, gid))
}

// Lchown is lchown(2).
func (m *Mount) Lchown(name string, uid, gid int) error {
	return m.change("lchown", name, false, owners(uid, gid))
}

func owners(uid, gid int) *nfsclient.SetAttr {
	s := new(nfsclient.SetAttr)
	if uid >= 0 {
		s.UID = new(uint32(uid))
	}
	if gid >= 0 {
		s.GID = new(uint32(gid))
	}
	return s
}

// Chtimes is utimes(2).
func (m *Mount) Chtimes(name string, atime, mtime time.Time) error {
	return m.change("utimes", name, true, times(atime, mtime))
}

// Lchtimes is utimensat(2) that follows no link.
func (m *Mount) Lchtimes(name string, atime, mtime time.Time) error {
	return m.change("utimensat", name, false, times(atime, mtime))
}

func times(atime, mtime time.Time) *nfsclient.SetAttr {
	set := func(t time.Time) nfsclient.SetTime {
		return nfsclient.SetTime{How: nfsclient.ClientTime, Time: nfsclient.Time{Sec: uint32(t.Unix()), Nsec: uint32(t.Nanosecond())}}
	}
	return &nfsclient.SetAttr{Atime: set(atime), Mtime: set(mtime)}
}

// Truncate is truncate(2).
func (m *Mount) Truncate(name string, size int64) error {
	return m.change("truncate", name, true, &nfsclient.SetAttr{Size: new(uint64(size))})
}

// Readlink is readlink(2).
func (m *Mount) Readlink(name string) (target string, err error) {
	err = m.do("readlink", name, false, func(n *node) (err error) {
		if n.kind != nfsclient.Lnk {
			return syscall.EINVAL
		}
		target, err = m.readlink(n)
		return err
	})
	return target, err
}

// doNew carries out what makes a name that must not be there.
func (m *Mount) doNew(op, name string, call func(dir *node, last string) error) error {
	defer m.begin()()
	dir, last, err := m.walkParent(name)
	if err == nil {
		err = m.absent(dir, last)
	}
	if err == nil {
		err = m.may(dir, nfsclient.AccessModify|nfsclient.AccessExtend)
	}
	if err == nil {
		err = call(dir, last)
	}
	return pathError(op, name, err)
}

// absent looks whether a name can be made.
func (m *Mount) absent(dir *node, last string) error {
	if last == "" {
		return syscall.EEXIST
	}
	if !dir.isDir() {
		return syscall.ENOTDIR
	}
	_, err := m.lookup(dir, last, toCreate)
	switch {
	case err == nil:
		return syscall.EEXIST
	case isNoEnt(err):
		return nil
	}
	return err
}

func isNoEnt(err error) bool {
	return errors.Is(err, nfsclient.ErrNoEnt) || errors.Is(err, syscall.ENOENT)
}

// Mkdir is mkdir(2), with the mode as it is.
func (m *Mount) Mkdir(name string, mode fs.FileMode) error {
	return m.doNew("mkdir", name, func(dir *node, last string) error {
		_, err := m.mkdir(dir, last, modeBits(mode))
		return errors.Join(err, m.removeCompanion(dir, last, false))
	})
}

// Symlink is symlink(2).
func (m *Mount) Symlink(target, name string) error {
	return m.doNew("symlink", name, func(dir *node, last string) error {
		_, err := m.symlink(dir, last, target)
		return errors.Join(err, m.removeCompanion(dir, last, false))
	})
}

// Mkfifo is mkfifo(2).
func (m *Mount) Mkfifo(name string, mode fs.FileMode) error {
	return m.doNew("mkfifo", name, func(dir *node, last string) error {
		_, err := m.mknod(dir, last, nfsclient.FIFO, modeBits(mode))
		return err
	})
}

// Link is link(2). The kernel links no AppleDouble file (kpi_vfs.c, VNOP_LINK).
func (m *Mount) Link(name, other string) error {
	return m.doNew("link", other, func(dir *node, last string) error {
		n, err := m.walk(name, false)
		switch {
		case err != nil:
			return err
		case n.isDir():
			return syscall.EPERM
		case n.kind == nfsclient.Reg && isCompanion(n.name):
			return syscall.EPERM
		}
		return m.link(n, dir, last)
	})
}

// Remove is unlink(2), and rmdir(2) of a directory.
func (m *Mount) Remove(name string) error {
	defer m.begin()()
	return pathError("remove", name, m.removeName(name))
}

func (m *Mount) removeName(name string) error {
	dir, last, err := m.walkParent(name)
	if err != nil {
		return err
	}
	if last == "" || last == "." || last == ".." {
		return syscall.EINVAL
	}
	n, err := m.lookup(dir, last, toDelete)
	if err != nil {
		return err
	}
	if err := m.may(dir, nfsclient.AccessModify); err != nil {
		return err
	}
	if n.isDir() {
		err = m.rmdir(dir, last, n)
	} else {
		err = m.remove(dir, last)
	}
	if err != nil {
		return err
	}
	return m.removeCompanion(dir, last, true)
}

// Rename is rename(2).
func (m *Mount) Rename(from, to string) error {
	defer m.begin()()
	err := m.renameNames(from, to)
	if err == nil {
		return nil
	}
	pathErr := pathError("rename", from, err).(*fs.PathError)
	return &os.LinkError{Op: "rename", Old: from, New: to, Err: pathErr.Err}
}

func (m *Mount) renameNames(from, to string) error {
	fromDir, fromName, err := m.walkParent(from)
	if err != nil {
		return err
	}
	toDir, toName, err := m.walkParent(to)
	if err != nil {
		return err
	}
	n, err := m.lookup(fromDir, fromName, toDelete)
	if err != nil {
		return err
	}
	over, err := m.lookup(toDir, toName, toRename)
	if err != nil && !isNoEnt(err) {
		return err
	}
	switch {
	case over == n:
		return nil
	case over != nil && n.isDir() && !over.isDir():
		return syscall.ENOTDIR
	case over != nil && !n.isDir() && over.isDir():
		return syscall.EISDIR
	}
	return m.renameBoth(fromDir, fromName, n, toDir, toName, over)
}

// renameBoth renames an object and its companion.
func (m *Mount) renameBoth(fromDir *node, fromName string, n, toDir *node, toName string, over *node) error {
	withCompanion := !strings.HasPrefix(fromName, "._")
	var du *node
	if withCompanion {
		if found, err := m.lookup(fromDir, companionOf(fromName), toRename); err == nil && found.kind == nfsclient.Reg {
			du = found
		}
	}
	if err := m.rename(fromDir, fromName, n, toDir, toName, over); err != nil {
		return err
	}
	if !withCompanion {
		return nil
	}
	return m.renameCompanion(fromDir, fromName, du, toDir, toName)
}
