package foldfs

import (
	"context"
	"strconv"
	"syscall"
	"unicode/utf8"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// node is an object of the directory under the volume, held by a descriptor (O_PATH).
type node struct {
	fs.Inode
	volume *volume
	fd     int
}

// path is a name for the object that every system call takes.
func (n *node) path() string { return "/proc/self/fd/" + strconv.Itoa(n.fd) }

// OnForget is told that the kernel has no use for the object.
func (n *node) OnForget() { n.volume.forget(n) }

// key gives what a name of the directory is known by, or the error of one that none can have.
func (n *node) key(name string) (key, syscall.Errno) {
	if !utf8.ValidString(name) {
		return key{}, syscall.EILSEQ
	}
	folded := fold(name)
	if len(folded) > 255 {
		return key{}, syscall.ENAMETOOLONG
	}
	return key{n.StableAttr().Ino, folded}, 0
}

// stat fills in attributes and the identity of what fd is.
func (n *node) stat(fd int, a *fuse.Attr) (fs.StableAttr, syscall.Errno) {
	var x unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &x)
	if err != nil {
		return fs.StableAttr{}, fs.ToErrno(err)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return fs.StableAttr{}, fs.ToErrno(err)
	}
	a.FromStat(&st)
	n.volume.coarsen(a)
	gen := uint64(x.Btime.Sec)*1e9 + uint64(x.Btime.Nsec)
	return fs.StableAttr{Mode: st.Mode & unix.S_IFMT, Ino: st.Ino, Gen: gen}, 0
}

// child opens what has a folded name.
func (n *node) child(ctx context.Context, folded string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	fd, err := unix.Openat(n.fd, folded, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	id, errno := n.stat(fd, &out.Attr)
	if errno != 0 {
		unix.Close(fd)
		return nil, errno
	}
	return n.volume.known(ctx, n, id, fd), 0
}

// Lookup finds a name by any of its spellings.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	k, errno := n.key(name)
	if errno != 0 {
		return nil, errno
	}
	return n.child(ctx, k.name, out)
}

// make makes a name with a call of the system and hands it to its owner.
func (n *node) make(ctx context.Context, name string, out *fuse.EntryOut, call func(folded string) error) (*fs.Inode, syscall.Errno) {
	k, errno := n.key(name)
	if errno != 0 {
		return nil, errno
	}
	n.volume.mu.Lock()
	defer n.volume.mu.Unlock()
	if err := call(k.name); err != nil {
		return nil, fs.ToErrno(err)
	}
	n.volume.spelt[k] = name
	if caller, ok := fuse.FromContext(ctx); ok {
		if err := unix.Fchownat(n.fd, k.name, int(caller.Uid), int(caller.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil, fs.ToErrno(err)
		}
	}
	return n.child(ctx, k.name, out)
}

// Mkdir makes a directory.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.make(ctx, name, out, func(folded string) error { return unix.Mkdirat(n.fd, folded, mode) })
}

// Mknod makes what has no content yet.
func (n *node) Mknod(ctx context.Context, name string, mode, dev uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.make(ctx, name, out, func(folded string) error { return unix.Mknodat(n.fd, folded, mode, int(dev)) })
}

// Symlink makes a symbolic link.
func (n *node) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.make(ctx, name, out, func(folded string) error { return unix.Symlinkat(target, n.fd, folded) })
}

// Link gives an object one more name; its owner stays.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	to := target.(*node)
	if n.volume.options.HFSPlus && to.StableAttr().Mode == unix.S_IFLNK {
		return nil, syscall.EPERM
	}
	return n.make(context.Background(), name, out, func(folded string) error {
		return unix.Linkat(to.fd, "", n.fd, folded, unix.AT_EMPTY_PATH)
	})
}

// Create makes and opens a file.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	file := -1
	inode, errno := n.make(ctx, name, out, func(folded string) (err error) {
		file, err = unix.Openat(n.fd, folded, int(flags)&^unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, mode)
		return err
	})
	if errno != 0 {
		if file >= 0 {
			unix.Close(file)
		}
		return nil, nil, 0, errno
	}
	return inode, fs.NewLoopbackFile(file), 0, 0
}

// remove removes a name.
func (n *node) remove(name string, flags int) syscall.Errno {
	k, errno := n.key(name)
	if errno != 0 {
		return errno
	}
	n.volume.mu.Lock()
	defer n.volume.mu.Unlock()
	if err := unix.Unlinkat(n.fd, k.name, flags); err != nil {
		return fs.ToErrno(err)
	}
	delete(n.volume.spelt, k)
	return 0
}

// Unlink removes a name of anything but a directory.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno { return n.remove(name, 0) }

// Rmdir removes an empty directory.
func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	return n.remove(name, unix.AT_REMOVEDIR)
}

// Rename renames as renameat2(2) does.
func (n *node) Rename(_ context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if errno := n.volume.renames(flags); errno != 0 {
		return errno
	}
	dst := parent.(*node)
	from, errno := n.key(name)
	if errno != 0 {
		return errno
	}
	to, errno := dst.key(newName)
	if errno != 0 {
		return errno
	}
	v := n.volume
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := unix.Renameat2(n.fd, from.name, dst.fd, to.name, uint(flags)); err != nil {
		return fs.ToErrno(err)
	}
	if flags&unix.RENAME_EXCHANGE == 0 {
		delete(v.spelt, from)
		v.spelt[to] = newName
	}
	return 0
}

// Readdir lists the names as they were made.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.volume.mu.Lock()
	defer n.volume.mu.Unlock()
	under, errno := fs.NewLoopbackDirStream(n.path())
	if errno != 0 {
		return nil, errno
	}
	defer under.Close()
	var entries []fuse.DirEntry
	for under.HasNext() {
		e, errno := under.Next()
		if errno != 0 {
			return nil, errno
		}
		if name, ok := n.volume.spelt[key{n.StableAttr().Ino, e.Name}]; ok {
			e.Name = name
		}
		entries = append(entries, e)
	}
	return fs.NewListDirStream(entries), 0
}

// Readlink gives a symbolic link's target.
func (n *node) Readlink(context.Context) ([]byte, syscall.Errno) {
	b := make([]byte, unix.PathMax)
	size, err := unix.Readlinkat(n.fd, "", b)
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	return b[:size], 0
}

// Open opens a file.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	fd, err := unix.Open(n.path(), int(flags)&^(unix.O_APPEND|unix.O_NOFOLLOW|unix.O_CREAT|unix.O_EXCL)|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, fs.ToErrno(err)
	}
	return fs.NewLoopbackFile(fd), 0, 0
}

// Getattr gives attributes.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	_, errno := n.stat(n.fd, &out.Attr)
	return errno
}

// Statx gives the time of birth too.
func (n *node) Statx(_ context.Context, _ fs.FileHandle, _, mask uint32, out *fuse.StatxOut) syscall.Errno {
	var x unix.Statx_t
	if err := unix.Statx(n.fd, "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, int(mask), &x); err != nil {
		return fs.ToErrno(err)
	}
	if n.volume.options.HFSPlus {
		x.Atime.Nsec, x.Mtime.Nsec, x.Ctime.Nsec = 0, 0, 0
	}
	out.FromStatx(&x)
	return 0
}

// Setattr changes attributes: the size first, for it changes times.
func (n *node) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if err := unix.Truncate(n.path(), int64(size)); err != nil {
			return fs.ToErrno(err)
		}
	}
	uid, setUID := in.GetUID()
	gid, setGID := in.GetGID()
	if setUID || setGID {
		if err := unix.Fchownat(n.fd, "", orNone(uid, setUID), orNone(gid, setGID), unix.AT_EMPTY_PATH); err != nil {
			return fs.ToErrno(err)
		}
	}
	if mode, ok := in.GetMode(); ok {
		if err := unix.Chmod(n.path(), mode&0o7777); err != nil {
			return fs.ToErrno(err)
		}
	}
	if errno := n.setTimes(in); errno != 0 {
		return errno
	}
	return n.Getattr(ctx, nil, out)
}

func orNone(id uint32, set bool) int {
	if !set {
		return -1
	}
	return int(id)
}

func (n *node) setTimes(in *fuse.SetAttrIn) syscall.Errno {
	times := [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	if at, ok := in.GetATime(); ok {
		times[0] = unix.NsecToTimespec(at.UnixNano())
	}
	if mt, ok := in.GetMTime(); ok {
		times[1] = unix.NsecToTimespec(mt.UnixNano())
	}
	if times[0].Nsec == unix.UTIME_OMIT && times[1].Nsec == unix.UTIME_OMIT {
		return 0
	}
	_, _, e := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(n.fd), uintptr(unsafe.Pointer(&[1]byte{})), uintptr(unsafe.Pointer(&times)), unix.AT_EMPTY_PATH, 0, 0)
	return e
}

// Getxattr reads an extended attribute.
func (n *node) Getxattr(_ context.Context, attr string, dest []byte) (uint32, syscall.Errno) {
	size, err := unix.Getxattr(n.path(), attr, dest)
	return uint32(max(size, 0)), fs.ToErrno(err)
}

// Setxattr sets one.
func (n *node) Setxattr(_ context.Context, attr string, data []byte, flags uint32) syscall.Errno {
	return fs.ToErrno(unix.Setxattr(n.path(), attr, data, int(flags)))
}

// Removexattr removes one.
func (n *node) Removexattr(_ context.Context, attr string) syscall.Errno {
	return fs.ToErrno(unix.Removexattr(n.path(), attr))
}

// Listxattr lists them.
func (n *node) Listxattr(_ context.Context, dest []byte) (uint32, syscall.Errno) {
	size, err := unix.Listxattr(n.path(), dest)
	return uint32(max(size, 0)), fs.ToErrno(err)
}

// Statfs tells how full it is.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	var st syscall.Statfs_t
	if err := syscall.Statfs(n.path(), &st); err != nil {
		return fs.ToErrno(err)
	}
	out.FromStatfsT(&st)
	return 0
}
