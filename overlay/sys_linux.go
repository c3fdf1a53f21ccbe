package overlay

import (
	"bytes"
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags of openat. A directory is opened as a mere place to look names up
// from: O_PATH needs no right to read it.
const (
	openDir   = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	openList  = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	openPin   = unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC
	openRead  = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	openWrite = unix.O_RDWR | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	openMake  = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC

	// mergedLinks is a directory's link count over lower layers, whose subdirectories are
	// not counted: overlayfs's. Tools that infer from the count how many there are look at
	// each entry then.
	mergedLinks = 1

	statMask  = unix.STATX_BASIC_STATS | unix.STATX_BTIME
	statFlags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT

	// bindsSockets: a socket's name is made by its path, for which there is little room.
	bindsSockets = false
	// holdingReads: to open an object just to hold it takes the right to read it.
	holdingReads = false

	errNoAttr = unix.ENODATA
	utimeOmit = 1<<30 - 2
)

var emptyName = [1]byte{0}

func errnoErr(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// sysStatAt is lstat of name in the directory fd. It makes no garbage.
func sysStatAt(fd int, name *byte, st *sysStat) error { return statx(fd, name, statFlags, st) }

// sysFstat is fstat; fd may be an O_PATH descriptor.
func sysFstat(fd int, st *sysStat) error {
	return statx(fd, &emptyName[0], statFlags|unix.AT_EMPTY_PATH, st)
}

func statx(fd int, name *byte, flags int, st *sysStat) error {
	var x unix.Statx_t
	_, _, e := syscall.Syscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(flags),
		statMask, uintptr(unsafe.Pointer(&x)), 0)
	if e != 0 {
		return e
	}
	*st = sysStat{
		dev: uint64(x.Dev_major)<<32 | uint64(x.Dev_minor), ino: x.Ino, mode: uint32(x.Mode), nlink: x.Nlink,
		uid: x.Uid, gid: x.Gid, size: x.Size, used: x.Blocks * 512, major: x.Rdev_major, minor: x.Rdev_minor,
		atime: Time{x.Atime.Sec, x.Atime.Nsec}, mtime: Time{x.Mtime.Sec, x.Mtime.Nsec}, ctime: Time{x.Ctime.Sec, x.Ctime.Nsec},
	}
	if x.Mask&unix.STATX_BTIME != 0 {
		st.born = Time{x.Btime.Sec, x.Btime.Nsec}
		st.gen = uint64(x.Btime.Sec)*1e9 + uint64(x.Btime.Nsec)
	}
	return nil
}

func sysOpenAt(fd int, name *byte, flags int, mode uint32) (int, error) {
	for {
		r, _, e := syscall.Syscall6(unix.SYS_OPENAT, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(flags)|unix.O_LARGEFILE, uintptr(mode), 0, 0)
		if e != syscall.EINTR {
			return int(r), errnoErr(e)
		}
	}
}

// sysPreadNow reads only what needs no disk: unix.EAGAIN says that it would.
// unix.EOPNOTSUPP is the answer of file systems that cannot tell.
func sysPreadNow(fd int, p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	v := unix.Iovec{Base: &p[0]}
	v.SetLen(len(p))
	r, _, e := syscall.Syscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&v)), 1, uintptr(off), 0, unix.RWF_NOWAIT)
	return int(r), errnoErr(e)
}

func sysMkdirAt(fd int, name *byte, mode uint32) error {
	_, _, e := syscall.Syscall(unix.SYS_MKDIRAT, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(mode))
	return errnoErr(e)
}

func sysUnlinkAt(fd int, name *byte, flags int) error {
	_, _, e := syscall.Syscall(unix.SYS_UNLINKAT, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(flags))
	return errnoErr(e)
}

func sysRenameAt(fd int, name *byte, tofd int, to *byte) error {
	_, _, e := syscall.Syscall6(unix.SYS_RENAMEAT2, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(tofd), uintptr(unsafe.Pointer(to)), 0, 0)
	return errnoErr(e)
}

// sysExchangeAt swaps two names of one file system in one step.
func sysExchangeAt(fd int, name *byte, tofd int, to *byte) error {
	_, _, e := syscall.Syscall6(unix.SYS_RENAMEAT2, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(tofd), uintptr(unsafe.Pointer(to)), unix.RENAME_EXCHANGE, 0)
	return errnoErr(e)
}

// sysRenameNewAt renames to a name that must not exist. unix.EINVAL is the answer of file
// systems that cannot tell.
func sysRenameNewAt(fd int, name *byte, tofd int, to *byte) error {
	_, _, e := syscall.Syscall6(unix.SYS_RENAMEAT2, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(tofd), uintptr(unsafe.Pointer(to)), unix.RENAME_NOREPLACE, 0)
	return errnoErr(e)
}

func sysLinkAt(fd int, name *byte, tofd int, to *byte) error {
	_, _, e := syscall.Syscall6(unix.SYS_LINKAT, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(tofd), uintptr(unsafe.Pointer(to)), 0, 0)
	return errnoErr(e)
}

func sysSymlinkAt(target *byte, fd int, name *byte) error {
	_, _, e := syscall.Syscall(unix.SYS_SYMLINKAT, uintptr(unsafe.Pointer(target)), uintptr(fd), uintptr(unsafe.Pointer(name)))
	return errnoErr(e)
}

func sysReadlinkAt(fd int, name *byte, p []byte) (int, error) {
	r, _, e := syscall.Syscall6(unix.SYS_READLINKAT, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0)
	return int(r), errnoErr(e)
}

func sysMknodAt(fd int, name *byte, mode, major, minor uint32) error {
	dev := unix.Mkdev(major, minor)
	_, _, e := syscall.Syscall6(unix.SYS_MKNODAT, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(mode), uintptr(dev), 0, 0)
	return errnoErr(e)
}

// procPath is a name for what fd stands for that every system call takes, also
// where fd is an O_PATH descriptor, which most calls refuse.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// pathOf is the path of what fd stands for at present.
func pathOf(fd int) (string, error) { return os.Readlink(procPath(fd)) }

// target is an object that an attribute is set on: a descriptor for it, and a
// name in a directory for systems that need one.
type target struct {
	fd    int
	path  bool // fd is O_PATH
	dirfd int
	name  *byte
}

// again says how to open what t.fd is anew, in openat(2)'s terms.
func (t target) again(how int) (dirfd int, name *byte, flags int, mode uint32) {
	return unix.AT_FDCWD, cString(procPath(t.fd) + "\x00"), how &^ unix.O_NOFOLLOW, 0
}

// readlink reads the symbolic link that t.fd is.
func (t target) readlink(p []byte) (int, error) { return sysReadlinkAt(t.fd, &emptyName[0], p) }

func (t target) chmod(mode uint32) error {
	if t.path {
		return unix.Fchmodat(unix.AT_FDCWD, procPath(t.fd), mode, 0)
	}
	return unix.Fchmod(t.fd, mode)
}

func (t target) chown(uid, gid int) error {
	return unix.Fchownat(t.fd, "", uid, gid, unix.AT_EMPTY_PATH)
}

func (t target) utimes(atime, mtime unix.Timespec) error {
	ts := [2]unix.Timespec{atime, mtime}
	if t.path {
		return unix.UtimesNanoAt(unix.AT_FDCWD, procPath(t.fd), ts[:], 0)
	}
	_, _, e := syscall.Syscall6(unix.SYS_UTIMENSAT, uintptr(t.fd), 0, uintptr(unsafe.Pointer(&ts[0])), 0, 0, 0)
	return errnoErr(e)
}

// getMark reads an xattr of name in the directory fd, following no link.
func getMark(fd int, name *byte, attr string, p []byte) (int, error) {
	return unix.Lgetxattr(procPath(fd)+"/"+goString(name), attr, p)
}

// getMarkOf reads an xattr of what is open, as O_PATH perhaps.
func getMarkOf(fd int, attr string, p []byte) (int, error) {
	return unix.Getxattr(procPath(fd), attr, p)
}

func setMark(fd int, name *byte, attr string, p []byte) error {
	return unix.Lsetxattr(procPath(fd)+"/"+goString(name), attr, p, 0)
}

// dropMark removes an xattr of name in the directory fd, following no link.
func dropMark(fd int, name *byte, attr string) error {
	return unix.Lremovexattr(procPath(fd)+"/"+goString(name), attr)
}

// listMarks lists the names of an object's xattrs, each with a NUL.
func listMarks(fd int, name *byte, p []byte) (int, error) {
	return unix.Llistxattr(procPath(fd)+"/"+goString(name), p)
}

// maxXattr bounds an extended attribute's value (xattr(7)).
const maxXattr = 64 << 10

// isCopied reports whether a copy gets an extended attribute: those of others than the user
// are not the user's to set.
func isCopied(xattr string) bool { return strings.HasPrefix(xattr, "user.") && !isOwnMark(xattr) }

// isGuarded: what is to be copied is the user's.
func isGuarded(string, error) bool { return false }

// reflink makes to share from's blocks.
func reflink(from, to int) error { return unix.IoctlFileClone(to, from) }

// copyRange copies n bytes at off inside the kernel.
func copyRange(from, to int, off, n int64) (int64, error) {
	in, out := off, off
	m, err := unix.CopyFileRange(from, &in, to, &out, int(min(n, 1<<30)), 0)
	return int64(m), err
}

// dataAt finds the next part of a file that is no hole.
func dataAt(fd int, off, size int64) (start, end int64, err error) {
	start, err = unix.Seek(fd, off, unix.SEEK_DATA)
	if err == unix.ENXIO {
		return size, size, nil
	}
	if err != nil { // the file system cannot tell
		return off, size, nil
	}
	end, err = unix.Seek(fd, start, unix.SEEK_HOLE)
	if err != nil {
		return start, size, nil
	}
	return start, min(end, size), nil
}

// writeBehind begins to write n bytes at off to the disk and waits for those before, as
// sync_file_range(2) says. What could not be written it tells of, and an fsync that follows
// does not any more. A system that lets nobody call it writes at its own pace.
func writeBehind(fd int, off, n int64) error {
	err := unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE)
	const all = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	if before := min(off, n); err == nil && before > 0 {
		err = unix.SyncFileRange(fd, off-before, before, all)
	}
	if err == unix.ENOSYS || err == unix.EPERM {
		return nil
	}
	return err
}

// Offsets in a struct linux_dirent64 (getdents(2)).
const (
	direntReclen = 16
	direntType   = 18
	direntName   = 19
)

// sysChmodAt changes the mode of what has a name. It follows a link.
func sysChmodAt(fd int, name *byte, mode uint32) error {
	return unix.Fchmodat(fd, goString(name), mode, 0)
}

// sysGetdents reads the next entries of a directory; 0: there are no more.
func sysGetdents(fd int, p []byte) (int, error) { return unix.ReadDirent(fd, p) }

// direntFields takes the first entry off a buffer that sysGetdents filled.
func direntFields(b []byte) (ino uint64, typ uint8, name []byte, rest []byte) {
	n := binary.NativeEndian.Uint16(b[direntReclen:])
	name, _, _ = bytes.Cut(b[direntName:n], []byte{0})
	return binary.NativeEndian.Uint64(b), b[direntType], name, b[n:]
}

func sysStatfs(fd int, s *FSStat) error {
	var b unix.Statfs_t
	if err := unix.Fstatfs(fd, &b); err != nil {
		return err
	}
	bs := uint64(b.Bsize)
	s.TotalBytes, s.FreeBytes, s.AvailBytes = b.Blocks*bs, b.Bfree*bs, b.Bavail*bs
	s.TotalFiles, s.FreeFiles, s.AvailFiles = b.Files, b.Ffree, b.Ffree
	s.NameMax = min(uint32(b.Namelen), 255)
	s.LinkMax = linkMax(b.Type)
	return nil
}

// sysFolds reports whether a directory's file system is known to find names by other
// spellings: HFS+ and FAT, and ext4, f2fs and tmpfs where the directory says so.
func sysFolds(fd int) bool {
	switch fsMagic(fd) {
	case hfsPlusMagic, unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC:
		return true
	}
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	return err == nil && flags&casefoldFlag != 0
}

const (
	hfsPlusMagic = 0x482b     // HFSPLUS_SUPER_MAGIC of <linux/magic.h>
	casefoldFlag = 0x40000000 // FS_CASEFOLD_FL of <linux/fs.h>
)

func sysIsHFSPlus(fd int) bool { return fsMagic(fd) == hfsPlusMagic }

// fsMagic is the number of the type of the file system that fd is on (statfs(2)); 0 where it
// does not say.
func fsMagic(fd int) int64 {
	var b unix.Statfs_t
	if unix.Fstatfs(fd, &b) != nil {
		return 0
	}
	return int64(b.Type)
}

// linkMax is what pathconf(3) would say; there is no system call for it.
func linkMax(fsType int64) uint32 {
	switch fsType {
	case unix.EXT4_SUPER_MAGIC:
		return 65000
	case unix.BTRFS_SUPER_MAGIC:
		return 65535
	case unix.TMPFS_MAGIC, unix.XFS_SUPER_MAGIC:
		return 1<<31 - 1
	}
	return 32000
}

func allocate(fd int, off, n int64) error { return unix.Fallocate(fd, 0, off, n) }

// fsType is the name of the type of the file system that fd is on, or its number in
// statfs(2).
func fsType(fd int) string {
	magic := fsMagic(fd)
	switch magic {
	case 0:
		return "unknown"
	case unix.EXT4_SUPER_MAGIC: // ext2 and ext3 say the same
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	case unix.SQUASHFS_MAGIC:
		return "squashfs"
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.FUSE_SUPER_MAGIC:
		return "fuse"
	}
	return "0x" + strconv.FormatUint(uint64(uint32(magic)), 16)
}
