package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// kernel is the oracle: a mount of overlayfs.
type kernel struct {
	root  string
	slots [slots]int // descriptors; -1: nothing is held
	// pinned holds a descriptor of every inode that was seen, by its number: none
	// is given to another object.
	pinned map[uint64]int
}

// mountOverlay mounts the kernel's overlayfs.
func mountOverlay(point, options string) error {
	if err := os.MkdirAll(point, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("overlay", point, "overlay", unix.MS_NOATIME, options); err != nil {
		return fmt.Errorf("mount overlayfs with %s: %w", options, err)
	}
	return nil
}

// newKernel mounts the oracle. Its renames of directories are redirects, and its hard
// links are kept, as ours are.
func newKernel(dir string, lowers []string) (*kernel, error) {
	k := newView(filepath.Join(dir, "mnt"))
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	if len(lowers) == 0 { // it needs one
		lowers = []string{filepath.Join(dir, "empty")}
	}
	for _, d := range append([]string{upper, work}, lowers...) {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	return k, mountOverlay(k.root, fmt.Sprintf("volatile,redirect_dir=on,index=on,xino=on,upperdir=%s,workdir=%s,lowerdir=%s", upper, work, strings.Join(lowers, ":")))
}

// newView looks at a mount, or at a directory of one.
func newView(root string) *kernel {
	k := &kernel{root: root, pinned: map[uint64]int{}}
	for i := range k.slots {
		k.slots[i] = -1
	}
	return k
}

func (k *kernel) close() error {
	k.letGo()
	return unix.Unmount(k.root, 0)
}

// letGo closes what is held.
func (k *kernel) letGo() {
	for _, fd := range k.pinned {
		unix.Close(fd)
	}
	for _, fd := range k.slots {
		unix.Close(fd)
	}
}

// open gives a descriptor that stands for an object.
func (k *kernel) open(w where) (fd int, err error) {
	if fd, err = k.base(w.slot()); err != nil {
		return -1, err
	}
	names := w.names()
	for i, name := range names {
		flags := unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC
		if i < len(names)-1 {
			flags |= unix.O_DIRECTORY
		}
		next, err := unix.Openat(fd, name, flags, 0)
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
}

// dir opens a directory.
func (k *kernel) dir(w where) (fd int, err error) {
	fd, err = k.open(w)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		err = unix.ENOTDIR
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

const pathFlags = unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC

// base opens what is held in a slot, by one of the names that it has now.
func (k *kernel) base(slot int) (int, error) {
	if slot < 0 {
		return unix.Open(k.root, pathFlags, 0)
	}
	held := k.slots[slot]
	if held < 0 {
		return -1, errNothingHeld
	}
	var st unix.Stat_t
	if err := unix.Fstat(held, &st); err != nil {
		return -1, err
	}
	path, err := os.Readlink(procPath(held))
	if err == nil && inode(path) == st.Ino {
		return unix.Open(path, pathFlags, 0)
	}
	path, err = k.find(st.Ino)
	if err != nil {
		return -1, err
	}
	return unix.Open(path, pathFlags, 0)
}

// errNothingHeld says that the script never put anything into a slot.
var errNothingHeld = errors.New("nothing is held")

func procPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// inode gives the inode number of what has a name, or 0.
func inode(path string) uint64 {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

// find looks for a name of an inode. One without names is stale to NFS.
func (k *kernel) find(ino uint64) (found string, err error) {
	err = filepath.WalkDir(k.root, func(path string, _ os.DirEntry, err error) error {
		if err == nil && inode(path) == ino {
			found, err = path, filepath.SkipAll
		}
		return err
	})
	if err == nil && found == "" {
		err = unix.ESTALE
	}
	return found, err
}

// attr gives attributes, and pins the inode.
func (k *kernel) attr(fd int) (*attr, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if _, ok := k.pinned[st.Ino]; !ok {
		pin, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		k.pinned[st.Ino] = pin
	}
	return attrOf(&st), nil
}

func attrOf(st *unix.Stat_t) *attr {
	return &attr{
		id: st.Ino, typ: types[st.Mode&unix.S_IFMT], mode: st.Mode & 0o7777, nlink: uint32(st.Nlink), uid: st.Uid, gid: st.Gid,
		size: uint64(st.Size), major: unix.Major(st.Rdev), minor: unix.Minor(st.Rdev),
		atime: time.Unix(st.Atim.Unix()), mtime: time.Unix(st.Mtim.Unix()),
	}
}

var types = map[uint32]nfsclient.Type{
	unix.S_IFREG: nfsclient.Reg, unix.S_IFDIR: nfsclient.Dir, unix.S_IFBLK: nfsclient.Blk, unix.S_IFCHR: nfsclient.Chr,
	unix.S_IFLNK: nfsclient.Lnk, unix.S_IFSOCK: nfsclient.Sock, unix.S_IFIFO: nfsclient.FIFO,
}

// about gives the answer of an operation after which an object is looked at.
func (k *kernel) about(fd int, err error) answer {
	if err != nil {
		return answer{err: classify(err)}
	}
	a, err := k.attr(fd)
	return answer{err: classify(err), attr: a}
}

// on carries out f on an object.
func (k *kernel) on(w where, f func(fd int) error) answer {
	fd, err := k.open(w)
	if err != nil {
		return answer{err: classify(err)}
	}
	defer unix.Close(fd)
	return k.about(fd, f(fd))
}

// in carries out f on a name in a directory.
func (k *kernel) in(w where, f func(dirfd int, name string) error) error {
	dir, name := w.split()
	fd, err := k.dir(dir)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(fd, name)
}

// made carries out f, and looks at what it made.
func (k *kernel) made(w where, mode perm, f func(dirfd int, name string) error) answer {
	fd := -1
	err := k.in(w, func(dirfd int, name string) (err error) {
		if err = f(dirfd, name); err != nil {
			return err
		}
		if fd, err = unix.Openat(dirfd, name, pathFlags, 0); err != nil || mode == asMade {
			return err
		}
		return chmodMade(fd, mode)
	})
	if fd >= 0 {
		defer unix.Close(fd)
	}
	return k.about(fd, err)
}

// asMade leaves a new object the mode that it was made with.
const asMade = ^perm(0)

// chmodMade takes the umask out of the mode. A directory keeps the set-gid bit that it
// inherited.
func chmodMade(fd int, mode perm) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		mode |= perm(st.Mode & unix.S_ISGID)
	}
	return unix.Chmod(procPath(fd), uint32(mode))
}

// list gives the names in a directory. Whiteouts with nothing to hide show in some
// listings of overlayfs, and cannot be looked up: they are no names.
func (k *kernel) list(fd int) (map[string]uint64, error) {
	dir, err := os.Open(procPath(fd))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	list := map[string]uint64{}
	for _, name := range names {
		child, err := unix.Openat(fd, name, pathFlags, 0)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return nil, err
		}
		a, err := k.attr(child)
		unix.Close(child)
		if err != nil {
			return nil, err
		}
		list[name] = a.id
	}
	return list, nil
}

// overEmpty carries out f, which wants the directory of a name to be empty. Overlayfs
// counts the whiteouts of one that is in a single lower layer; of a copied-up one it
// does not. Ours never does.
func (k *kernel) overEmpty(dirfd int, name string, f func() error) error {
	err := f()
	if err != unix.ENOTEMPTY {
		return err
	}
	fd, openErr := unix.Openat(dirfd, name, pathFlags|unix.O_DIRECTORY, 0)
	if openErr != nil {
		return err
	}
	defer unix.Close(fd)
	if names, listErr := k.list(fd); listErr != nil || len(names) > 0 {
		return err
	}
	const tmp = "copies the directory up"
	if err := unix.Mknodat(fd, tmp, unix.S_IFREG, 0); err != nil {
		return err
	}
	if err := unix.Unlinkat(fd, tmp, 0); err != nil {
		return err
	}
	return f()
}

// orAsBefore gives directories their times back when f fails: over ext4, a rename that
// overlayfs finds impossible late has changed them.
func (k *kernel) orAsBefore(fds []int, f func() error) error {
	before := make([]unix.Stat_t, len(fds))
	for i, fd := range fds {
		if err := unix.Fstat(fd, &before[i]); err != nil {
			return err
		}
	}
	err := f()
	if err == nil {
		return nil
	}
	for i, fd := range fds {
		ts := []unix.Timespec{before[i].Atim, before[i].Mtim}
		if timesErr := unix.UtimesNanoAt(unix.AT_FDCWD, procPath(fd), ts, 0); timesErr != nil {
			return timesErr
		}
	}
	return err
}
