package integration

import (
	"encoding/binary"
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// plainFS serves one directory with as few system calls as a server can that keeps
// NFS's promises: it is the yardstick for the overlay. A handle stands for a name in an open
// directory. What is found there is compared with the handle before anything is
// given away or changed, which the attributes that a reply needs anyway are enough for;
// directories stay open, files do not.
type plainFS struct {
	root *plainNode

	mu    sync.Mutex
	nodes map[overlay.ID]*plainNode
}

type plainNode struct {
	id   overlay.ID
	mode uint32 // its type
	in   *plainNode
	name string
	fd   int // of a directory, -1 until it is used
}

func newPlainFS(dir string) (*plainFS, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	p := &plainFS{nodes: map[overlay.ID]*plainNode{}}
	var a overlay.Attr
	if err := statFD(fd, &a); err != nil {
		return nil, err
	}
	p.root = p.meet(nil, "", &a)
	p.root.fd = fd
	return p, nil
}

func statFD(fd int, a *overlay.Attr) error { return statName(fd, "", a) }

// statName is one statx(2), of fd itself where name is empty.
func statName(fd int, name string, a *overlay.Attr) error {
	var x unix.Statx_t
	const mask = unix.STATX_BASIC_STATS | unix.STATX_BTIME
	if err := unix.Statx(fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH, mask, &x); err != nil {
		return err
	}
	when := func(t unix.StatxTimestamp) overlay.Time { return overlay.Time{Sec: t.Sec, Nsec: t.Nsec} }
	*a = overlay.Attr{
		ID:   overlay.ID{Fileid: x.Ino, Gen: uint64(x.Btime.Sec)*1e9 + uint64(x.Btime.Nsec)},
		Mode: uint32(x.Mode), Nlink: x.Nlink, UID: x.Uid, GID: x.Gid, Size: x.Size, Used: x.Blocks * 512,
		Atime: when(x.Atime), Mtime: when(x.Mtime), Ctime: when(x.Ctime),
	}
	return nil
}

// meet makes an object known under a name.
func (p *plainFS) meet(in *plainNode, name string, a *overlay.Attr) *plainNode {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.nodes[a.ID]
	if n == nil {
		n = &plainNode{id: a.ID, mode: a.Mode & overlay.ModeType, fd: -1}
		p.nodes[a.ID] = n
	}
	n.in, n.name = in, name
	return n
}

func (p *plainFS) node(id overlay.ID) (*plainNode, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.nodes[id]; n != nil {
		return n, nil
	}
	return nil, syscall.ESTALE
}

// dir gives an open directory and its attributes.
func (p *plainFS) dir(id overlay.ID, a *overlay.Attr) (*plainNode, error) {
	n, err := p.node(id)
	switch {
	case err != nil:
		return nil, err
	case n.mode != overlay.ModeDir:
		return nil, syscall.ENOTDIR
	case n.fd >= 0:
		return n, statFD(n.fd, a)
	}
	if n.fd, err = p.open(n, unix.O_PATH|unix.O_DIRECTORY, a); err != nil {
		return nil, err
	}
	return n, nil
}

// open opens the object that n stands for, and gives its attributes.
func (p *plainFS) open(n *plainNode, flags int, a *overlay.Attr) (int, error) {
	fd, err := unix.Openat(n.in.fd, n.name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := n.same(statFD(fd, a), a); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// same gives ESTALE when the attributes are another object's.
func (n *plainNode) same(err error, a *overlay.Attr) error {
	if err == syscall.ENOENT || err == nil && a.ID != n.id {
		return syscall.ESTALE
	}
	return err
}

// plainChange fills the attributes around a change.
type plainChange struct{ *overlay.Change }

func (w plainChange) before(a *overlay.Attr) {
	w.HasPre, w.Pre = true, overlay.PreAttr{Size: a.Size, Mtime: a.Mtime, Ctime: a.Ctime}
}

func (w plainChange) after(fd int) { w.HasPost = statFD(fd, &w.Post) == nil }

// changeDir is dir for a change of its names; done takes down the attributes after.
func (p *plainFS) changeDir(id overlay.ID, w *overlay.Change) (n *plainNode, done func(), err error) {
	var a overlay.Attr
	n, err = p.dir(id, &a)
	if err != nil {
		return nil, nil, err
	}
	c := plainChange{w}
	c.before(&a)
	return n, func() { c.after(n.fd) }, nil
}

func (p *plainFS) Root() overlay.ID { return p.root.id }

func (p *plainFS) Getattr(id overlay.ID, a *overlay.Attr) error {
	n, err := p.node(id)
	switch {
	case err != nil:
		return err
	case n.fd >= 0:
		return statFD(n.fd, a)
	}
	return n.same(statName(n.in.fd, n.name, a), a)
}

// Born is not asked for by the test.
func (p *plainFS) Born(overlay.ID) (overlay.Time, error) { return overlay.Time{}, nil }

// Setattr changes size, mode and times; the test asks for no more.
func (p *plainFS) Setattr(_ overlay.Caller, id overlay.ID, s *overlay.SetAttr, w *overlay.Change) error {
	n, err := p.node(id)
	if err != nil {
		return err
	}
	flags := unix.O_PATH
	if s.SetSize {
		flags = unix.O_RDWR
	}
	var a overlay.Attr
	fd, err := p.open(n, flags, &a)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	c := plainChange{w}
	c.before(&a)
	defer c.after(fd)
	if s.SetSize {
		return unix.Ftruncate(fd, int64(s.Size))
	}
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	if s.SetMode {
		return unix.Fchmodat(unix.AT_FDCWD, path, s.Mode, 0)
	}
	now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, now, 0)
}

func (p *plainFS) Lookup(_ overlay.Caller, dir overlay.ID, name []byte, child, dirAttr *overlay.Attr) (bool, error) {
	d, err := p.dir(dir, dirAttr)
	if err != nil {
		return false, err
	}
	if err := statName(d.fd, string(name), child); err != nil {
		return true, err
	}
	p.meet(d, string(name), child)
	return true, nil
}

func (p *plainFS) Readlink(id overlay.ID, buf []byte, a *overlay.Attr) ([]byte, error) {
	n, err := p.node(id)
	if err != nil {
		return buf, err
	}
	if err := p.Getattr(id, a); err != nil {
		return buf, err
	}
	var b [4096]byte
	size, err := unix.Readlinkat(n.in.fd, n.name, b[:])
	return append(buf, b[:max(size, 0)]...), err
}

// Read compares after it has read: the attributes are needed from then anyway.
func (p *plainFS) Read(_ overlay.Caller, id overlay.ID, b []byte, off uint64, a *overlay.Attr) (int, bool, error) {
	n, err := p.node(id)
	if err != nil {
		return 0, false, err
	}
	fd, err := unix.Openat(n.in.fd, n.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false, err
	}
	defer unix.Close(fd)
	size, err := unix.Pread(fd, b, int64(off))
	if err != nil {
		return 0, false, err
	}
	err = n.same(statFD(fd, a), a)
	return size, off+uint64(size) >= a.Size, err
}

func (p *plainFS) Write(_ overlay.Caller, id overlay.ID, b []byte, off uint64, how overlay.Stability, w *overlay.Change) error {
	return p.onFile(id, w, func(fd int) error {
		if _, err := unix.Pwrite(fd, b, int64(off)); err != nil || how == overlay.Unstable {
			return err
		}
		return unix.Fsync(fd)
	})
}

func (*plainFS) Losses() uint64 { return 0 }

func (p *plainFS) Commit(_ overlay.Caller, id overlay.ID, _, _ uint64, w *overlay.Change) error {
	return p.onFile(id, w, unix.Fsync)
}

// onFile does something to a file's data.
func (p *plainFS) onFile(id overlay.ID, w *overlay.Change, f func(fd int) error) error {
	n, err := p.node(id)
	if err != nil {
		return err
	}
	var a overlay.Attr
	fd, err := p.open(n, unix.O_RDWR, &a)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	c := plainChange{w}
	c.before(&a)
	defer c.after(fd)
	return f(fd)
}

func (p *plainFS) Create(_ overlay.Caller, dir overlay.ID, name []byte, how *overlay.CreateHow, child *overlay.Attr, w *overlay.Change) error {
	d, done, err := p.changeDir(dir, w)
	if err != nil {
		return err
	}
	defer done()
	fd, err := unix.Openat(d.fd, string(name), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, how.Attr.Mode)
	if err == syscall.EEXIST && how.Mode == overlay.Unchecked {
		return statName(d.fd, string(name), child)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := statFD(fd, child); err != nil {
		return err
	}
	p.meet(d, string(name), child)
	return nil
}

// makes makes an object with one system call.
func (p *plainFS) makes(dir overlay.ID, name []byte, child *overlay.Attr, w *overlay.Change, f func(fd int, name string) error) error {
	d, done, err := p.changeDir(dir, w)
	if err != nil {
		return err
	}
	defer done()
	if err := f(d.fd, string(name)); err != nil {
		return err
	}
	if err := statName(d.fd, string(name), child); err != nil {
		return err
	}
	p.meet(d, string(name), child)
	return nil
}

func (p *plainFS) Mkdir(_ overlay.Caller, dir overlay.ID, name []byte, s *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error {
	return p.makes(dir, name, child, w, func(fd int, name string) error { return unix.Mkdirat(fd, name, s.Mode) })
}

func (p *plainFS) Symlink(_ overlay.Caller, dir overlay.ID, name, target []byte, _ *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error {
	return p.makes(dir, name, child, w, func(fd int, name string) error { return unix.Symlinkat(string(target), fd, name) })
}

func (p *plainFS) Mknod(_ overlay.Caller, dir overlay.ID, name []byte, typ, _, _ uint32, s *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error {
	return p.makes(dir, name, child, w, func(fd int, name string) error { return unix.Mknodat(fd, name, typ|s.Mode, 0) })
}

func (p *plainFS) Remove(_ overlay.Caller, dir overlay.ID, name []byte, w *overlay.Change) error {
	return p.unlink(dir, name, w, 0)
}

func (p *plainFS) Rmdir(_ overlay.Caller, dir overlay.ID, name []byte, w *overlay.Change) error {
	return p.unlink(dir, name, w, unix.AT_REMOVEDIR)
}

// unlink has to know which object loses a name, and whether it was the last: the handle
// is stale from then on.
func (p *plainFS) unlink(dir overlay.ID, name []byte, w *overlay.Change, flags int) error {
	d, done, err := p.changeDir(dir, w)
	if err != nil {
		return err
	}
	defer done()
	var a overlay.Attr
	if err := statName(d.fd, string(name), &a); err != nil {
		return err
	}
	if err := unix.Unlinkat(d.fd, string(name), flags); err != nil {
		return err
	}
	p.lost(&a)
	return nil
}

func (p *plainFS) lost(a *overlay.Attr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.nodes[a.ID]; n != nil && (a.Nlink <= 1 || a.IsDir()) {
		if n.fd >= 0 {
			unix.Close(n.fd)
		}
		delete(p.nodes, a.ID)
	}
}

// Rename has to know what gets another name, and what loses one.
func (p *plainFS) Rename(_ overlay.Caller, from overlay.ID, fromName []byte, to overlay.ID, toName []byte, wfrom, wto *overlay.Change) error {
	src, after, err := p.changeDir(from, wfrom)
	if err != nil {
		return err
	}
	dst, afterTo := src, func() { *wto = *wfrom }
	if from != to {
		if dst, afterTo, err = p.changeDir(to, wto); err != nil {
			return err
		}
	}
	defer func() { after(); afterTo() }()
	var moved, replaced overlay.Attr
	if err := statName(src.fd, string(fromName), &moved); err != nil {
		return err
	}
	over := statName(dst.fd, string(toName), &replaced) == nil
	if err := unix.Renameat(src.fd, string(fromName), dst.fd, string(toName)); err != nil {
		return err
	}
	if over {
		p.lost(&replaced)
	}
	p.meet(dst, string(toName), &moved)
	return nil
}

func (p *plainFS) Link(_ overlay.Caller, id, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) (bool, error) {
	n, err := p.node(id)
	if err != nil {
		return false, err
	}
	d, done, err := p.changeDir(dir, w)
	if err != nil {
		return false, err
	}
	defer done()
	if err := unix.Linkat(n.in.fd, n.name, d.fd, string(name), 0); err != nil {
		return false, err
	}
	return true, n.same(statName(d.fd, string(name), a), a)
}

// Readdir gives a small directory at once.
func (p *plainFS) Readdir(_ overlay.Caller, dir overlay.ID, cookie uint64, attrs bool, dirAttr *overlay.Attr, emit func(*overlay.DirEntry) bool) (bool, error) {
	d, err := p.dir(dir, dirAttr)
	if err != nil {
		return false, err
	}
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	entries, err := readEntries(fd)
	if err != nil {
		return false, err
	}
	for i := range entries {
		e := &entries[i]
		if e.Cookie <= cookie {
			continue
		}
		if attrs {
			e.Attr = new(overlay.Attr)
			if err := p.entry(d, e, dirAttr); err != nil {
				return false, err
			}
		}
		if !emit(e) {
			return false, nil
		}
	}
	return true, nil
}

// entry fills in an entry's attributes: those of the directory itself are known.
func (p *plainFS) entry(d *plainNode, e *overlay.DirEntry, self *overlay.Attr) error {
	name := string(e.Name)
	if name == "." {
		*e.Attr = *self
		return nil
	}
	if err := statName(d.fd, name, e.Attr); err != nil {
		return err
	}
	if name != ".." {
		p.meet(d, name, e.Attr)
	}
	return nil
}

// readEntries reads a whole directory.
func readEntries(fd int) (entries []overlay.DirEntry, err error) {
	const nameAt = 19 // in a struct linux_dirent64 (getdents(2))
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil || n == 0 {
			return entries, err
		}
		for b := buf[:n]; len(b) > 0; {
			size := binary.NativeEndian.Uint16(b[16:])
			name := []byte(unix.ByteSliceToString(b[nameAt:size]))
			entries = append(entries, overlay.DirEntry{Name: name, Fileid: binary.NativeEndian.Uint64(b), Cookie: uint64(len(entries)) + 1})
			b = b[size:]
		}
	}
}

func (p *plainFS) Stat(s *overlay.FSStat) error {
	var b unix.Statfs_t
	if err := unix.Fstatfs(p.root.fd, &b); err != nil {
		return err
	}
	size := uint64(b.Bsize)
	*s = overlay.FSStat{TotalBytes: b.Blocks * size, FreeBytes: b.Bfree * size, AvailBytes: b.Bavail * size, NameMax: 255, LinkMax: 32000, MaxFileSize: 1<<63 - 1}
	return nil
}
