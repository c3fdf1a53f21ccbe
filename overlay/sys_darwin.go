package overlay

import (
	"cmp"
	"encoding/binary"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags of openat. macOS has no O_PATH, and O_SEARCH asks for a right, too: a lower directory
// has to be readable by its owner, and for what is in the upper see openHeld.
const (
	openDir   = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	openList  = openDir
	openPin   = unix.O_RDONLY | unix.O_SYMLINK | unix.O_NONBLOCK | unix.O_CLOEXEC
	openRead  = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	openWrite = unix.O_RDWR | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	openMake  = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC

	// bindsSockets: a socket's name is made by its path, for which there is little room (103
	// bytes), and EADDRINUSE says that there is something. In the work directory neither matters.
	bindsSockets = true
	// holdingReads: to open an object just to hold it takes the right to read it.
	holdingReads = true

	errNoAttr = unix.ENOATTR
	// mergedLinks is a directory's link count over lower layers, in which its entries are
	// not counted. To macOS a directory with 2 links is empty, and one with 1 has 4294967295
	// entries: getattrlist(2) takes links less 2 for ATTR_DIR_ENTRYCOUNT where a file system
	// does not say. So this is LINK_MAX, more than most have, and stat(2) can show it. Nothing
	// stops looking after so many: fts(3) goes by the types of entries.
	mergedLinks = 1<<15 - 1

	utimeOmit = -2
)

func sysStatAt(fd int, name *byte, st *sysStat) error {
	var s unix.Stat_t
	if err := unix.Fstatat(fd, goString(name), &s, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	fromStat(&s, st)
	return nil
}

func sysFstat(fd int, st *sysStat) error {
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return err
	}
	fromStat(&s, st)
	return nil
}

// fromStat leaves gen zero: APFS and HFS+ do not give an inode number out
// again, and the time of birth follows an mtime that is set before it.
func fromStat(s *unix.Stat_t, st *sysStat) {
	*st = sysStat{
		dev: uint64(uint32(s.Dev)), ino: s.Ino, mode: uint32(s.Mode), nlink: uint32(s.Nlink), uid: s.Uid, gid: s.Gid,
		size: uint64(s.Size), used: uint64(s.Blocks) * 512, major: unix.Major(uint64(s.Rdev)), minor: unix.Minor(uint64(s.Rdev)),
		atime: fromTimespec(s.Atim), mtime: fromTimespec(s.Mtim), ctime: fromTimespec(s.Ctim),
		born: fromTimespec(s.Btim),
	}
}

func fromTimespec(t unix.Timespec) Time { return Time{Sec: t.Sec, Nsec: uint32(t.Nsec)} }

func sysOpenAt(fd int, name *byte, flags int, mode uint32) (int, error) {
	for {
		r, err := unix.Openat(fd, goString(name), flags, mode)
		if err != unix.EINTR {
			return r, err
		}
	}
}

// sysPreadNow cannot tell on macOS whether a read would wait.
func sysPreadNow(int, []byte, int64) (int, error) { return 0, unix.EOPNOTSUPP }

func sysMkdirAt(fd int, name *byte, mode uint32) error { return unix.Mkdirat(fd, goString(name), mode) }

func sysUnlinkAt(fd int, name *byte, flags int) error {
	return unix.Unlinkat(fd, goString(name), flags)
}

func sysRenameAt(fd int, name *byte, tofd int, to *byte) error {
	return unix.Renameat(fd, goString(name), tofd, goString(to))
}

// sysExchangeAt swaps two names of one file system in one step.
func sysExchangeAt(fd int, name *byte, tofd int, to *byte) error {
	return unix.RenameatxNp(fd, goString(name), tofd, goString(to), unix.RENAME_SWAP)
}

// sysRenameNewAt renames to a name that must not exist. unix.ENOTSUP is the answer of
// file systems that cannot tell.
func sysRenameNewAt(fd int, name *byte, tofd int, to *byte) error {
	return unix.RenameatxNp(fd, goString(name), tofd, goString(to), unix.RENAME_EXCL)
}

func sysLinkAt(fd int, name *byte, tofd int, to *byte) error {
	return unix.Linkat(fd, goString(name), tofd, goString(to), 0)
}

func sysSymlinkAt(target *byte, fd int, name *byte) error {
	return unix.Symlinkat(goString(target), fd, goString(name))
}

func sysReadlinkAt(fd int, name *byte, p []byte) (int, error) {
	return unix.Readlinkat(fd, goString(name), p)
}

// sysMknodAt makes FIFOs. macOS has no system call that makes a socket's name
// without binding it, and devices are root's.
func sysMknodAt(fd int, name *byte, mode, _, _ uint32) error {
	switch mode & ModeType {
	case ModeFIFO:
		return mkfifoAt(fd, goString(name), mode&0o7777)
	case ModeSocket:
		return bindAt(fd, goString(name))
	}
	return unix.EPERM
}

// mkfifoAt makes a FIFO by the directory's path: x/sys has no mkfifoat.
func mkfifoAt(fd int, name string, mode uint32) error {
	dir, err := pathOf(fd)
	if err != nil {
		return err
	}
	return unix.Mkfifo(dir+"/"+name, mode)
}

// bindAt makes a socket's name by binding a socket to it and closing that.
func bindAt(fd int, name string) error {
	dir, err := pathOf(fd)
	if err != nil {
		return err
	}
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	return unix.Bind(s, &unix.SockaddrUnix{Name: dir + "/" + name})
}

// pathOf is the directory's present path (fcntl F_GETPATH).
func pathOf(fd int) (string, error) {
	b := new([unix.PathMax]byte)
	var pin runtime.Pinner
	pin.Pin(b) // on a stack, it could be moved before the kernel writes to where it was
	defer pin.Unpin()
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETPATH, int(uintptr(unsafe.Pointer(b)))); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(b[:]), nil
}

// sysChmodAt changes the mode of what has a name, following no link.
func sysChmodAt(fd int, name *byte, mode uint32) error {
	return unix.Fchmodat(fd, goString(name), mode, unix.AT_SYMLINK_NOFOLLOW)
}

// target is an object that an attribute is set on: a descriptor for it, -1 for a socket, and
// a name in a directory for systems that need one.
type target struct {
	fd    int
	path  bool
	dirfd int
	name  *byte
}

// again says how to open anew what has the name of t.fd's object, in openat(2)'s terms.
func (t target) again(how int) (dirfd int, name *byte, flags int, mode uint32) {
	return t.dirfd, t.name, how, 0
}

// readlink reads the symbolic link that t.fd is. Before macOS 13 that takes its name: ESTALE
// where that is not its own, or was not for a while.
func (t target) readlink(p []byte) (int, error) {
	for range maxRetries {
		var before, after sysStat
		if err := sysFstat(t.fd, &before); err != nil {
			return 0, err
		}
		n, err := sysReadlinkAt(t.dirfd, t.name, p)
		if err == nil {
			err = sysStatAt(t.dirfd, t.name, &after)
		}
		if err != nil || after.ino != before.ino {
			return 0, cmp.Or(err, error(unix.ESTALE))
		}
		if after.ctime == before.ctime { // else it may have been away
			return n, nil
		}
	}
	return 0, unix.ESTALE
}

func (t target) chmod(mode uint32) error {
	if t.fd < 0 {
		return sysChmodAt(t.dirfd, t.name, mode)
	}
	return unix.Fchmod(t.fd, mode) // it is the object, whatever the name has come to stand for
}

func (t target) chown(uid, gid int) error {
	if t.fd < 0 {
		return unix.Fchownat(t.dirfd, goString(t.name), uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	}
	return unix.Fchown(t.fd, uid, gid)
}

func (t target) utimes(atime, mtime unix.Timespec) error {
	return unix.UtimesNanoAt(t.dirfd, goString(t.name), []unix.Timespec{atime, mtime}, unix.AT_SYMLINK_NOFOLLOW)
}

// withObject opens name in the directory fd, not following a link.
func withObject(fd int, name *byte, f func(fd int) error) error {
	o, err := sysOpenAt(fd, name, openPin, 0)
	if err != nil {
		return err
	}
	defer unix.Close(o)
	return f(o)
}

// getMark reads an xattr of name in the directory fd, following no link.
func getMark(fd int, name *byte, attr string, p []byte) (n int, err error) {
	err = withObject(fd, name, func(o int) error {
		n, err = unix.Fgetxattr(o, attr, p)
		return err
	})
	return n, err
}

// getMarkOf reads an xattr of what is open.
func getMarkOf(fd int, attr string, p []byte) (int, error) { return unix.Fgetxattr(fd, attr, p) }

func setMark(fd int, name *byte, attr string, p []byte) error {
	return withObject(fd, name, func(o int) error { return unix.Fsetxattr(o, attr, p, 0) })
}

// dropMark removes an xattr of name in the directory fd, following no link.
func dropMark(fd int, name *byte, attr string) error {
	return withObject(fd, name, func(o int) error { return unix.Fremovexattr(o, attr) })
}

// listMarks lists the names of an object's xattrs, each with a NUL.
func listMarks(fd int, name *byte, p []byte) (n int, err error) {
	err = withObject(fd, name, func(o int) error {
		n, err = unix.Flistxattr(o, p)
		return err
	})
	return n, err
}

// maxXattr bounds an extended attribute's value.
const maxXattr = 128 << 10

// isCopied reports whether a copy gets an extended attribute.
func isCopied(xattr string) bool { return !isOwnMark(xattr) }

// isGuarded reports whether an extended attribute could not be copied because it is the system's:
// since macOS 13 files get com.apple.provenance without being asked, and only root may set it.
func isGuarded(xattr string, err error) bool {
	return (err == unix.EPERM || err == unix.EACCES) && strings.HasPrefix(xattr, "com.apple.")
}

// reflink: fclonefileat(2) makes a new name, which a copy-up into an open file
// cannot use.
func reflink(int, int) error { return unix.ENOTSUP }

func copyRange(int, int, int64, int64) (int64, error) { return 0, unix.ENOTSUP }

// dataAt takes all for data: asked for holes, APFS names parts that hold data which is not on
// disk yet (GNU coreutils asks no more, bug 61386).
func dataAt(_ int, off, size int64) (start, end int64, err error) { return off, size, nil }

// writeBehind has nothing to do: the system writes at its own pace.
func writeBehind(int, int64, int64) error { return nil }

// Offsets in a struct dirent (dir(5)).
const (
	direntReclen = 16
	direntNamlen = 18
	direntType   = 20
	direntName   = 21
)

// sysGetdents reads the next entries of a directory; 0: there are no more. It is
// __getdirentries64 without libSystem, which x/sys imitates: unix.ReadDirent opens the
// directory anew and skips as many entries as it gave before, which loses one that stayed for
// each that went meanwhile, and takes a time that is the square of their number.
func sysGetdents(fd int, p []byte) (int, error) {
	const getdirentries64 = 344 // SYS_getdirentries64 of <sys/syscall.h>
	var position int64
	n, _, e := unix.Syscall6(getdirentries64, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		uintptr(unsafe.Pointer(&position)), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// direntFields takes the first entry off a buffer that sysGetdents filled.
func direntFields(b []byte) (ino uint64, typ uint8, name []byte, rest []byte) {
	n, size := binary.NativeEndian.Uint16(b[direntReclen:]), binary.NativeEndian.Uint16(b[direntNamlen:])
	return binary.NativeEndian.Uint64(b), b[direntType], b[direntName : direntName+size], b[n:]
}

func sysStatfs(fd int, s *FSStat) error {
	var b unix.Statfs_t
	if err := unix.Fstatfs(fd, &b); err != nil {
		return err
	}
	bs := uint64(b.Bsize)
	s.TotalBytes, s.FreeBytes, s.AvailBytes = b.Blocks*bs, b.Bfree*bs, b.Bavail*bs
	s.TotalFiles, s.FreeFiles, s.AvailFiles = b.Files, b.Ffree, b.Ffree
	s.NameMax, s.LinkMax = 255, 32767
	return nil
}

// sysFolds: every volume of macOS's own at least normalises Unicode.
func sysFolds(int) bool { return true }

func sysIsHFSPlus(int) bool { return false }

func allocate(fd int, off, n int64) error {
	return unix.FcntlFstore(uintptr(fd), unix.F_PREALLOCATE, &unix.Fstore_t{
		Flags: unix.F_ALLOCATEALL, Posmode: unix.F_PEOFPOSMODE, Length: n,
	})
}

// fsType is the name of the type of the file system that fd is on.
func fsType(fd int) string {
	var b unix.Statfs_t
	if unix.Fstatfs(fd, &b) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(b.Fstypename[:])
}
