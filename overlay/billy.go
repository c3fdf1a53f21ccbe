package overlay

import (
	"errors"
	"io"
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
// *fs.PathError around syscall.Errno, and *os.LinkError from Rename. A FileInfo's Sys is an *Attr.
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

// maxLinks bounds the symbolic links on the way of a path, as Linux does.
const maxLinks = 40

// walker resolves paths.
type walker struct {
	o     *FS
	links int
}

// resolve gives the object that a path leads to. It follows a link at the end
// where follow says so.
func (b *billyFS) resolve(name string, follow bool) (Attr, error) {
	w := walker{o: b.o}
	return w.walk(b.o.Root(), name, follow)
}

func (w *walker) walk(from ID, name string, follow bool) (a Attr, err error) {
	if err := w.o.Getattr(from, &a); err != nil {
		return a, err
	}
	parts := splitPath(name)
	for i, part := range parts {
		dir := a
		if err := w.step(dir.ID, part, &a); err != nil {
			return a, err
		}
		if a.Mode&ModeType == ModeSymlink && (follow || i < len(parts)-1) {
			if a, err = w.follow(dir.ID, &a); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

func (w *walker) step(dir ID, name string, a *Attr) error {
	if err := checkName(name); err != nil {
		return err
	}
	var d Attr
	_, err := w.o.Lookup(dir, []byte(name), a, &d)
	return err
}

func (w *walker) follow(dir ID, link *Attr) (Attr, error) {
	if w.links++; w.links > maxLinks {
		return Attr{}, syscall.ELOOP
	}
	var a Attr
	to, err := w.o.Readlink(link.ID, nil, &a)
	if err != nil {
		return a, err
	}
	if len(to) > 0 && to[0] == '/' {
		dir = w.o.Root()
	}
	return w.walk(dir, string(to), true)
}

// checkName gives the error of a name that no file can have.
func checkName(name string) error {
	switch {
	case len(name) > 255:
		return syscall.ENAMETOOLONG
	case strings.IndexByte(name, 0) >= 0:
		return syscall.EINVAL
	}
	return nil
}

func splitPath(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(s string) bool { return s == "" || s == "." })
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

// modeBits gives the permission bits of a mode as stat(2) has them.
func modeBits(m os.FileMode) uint32 {
	bits := uint32(m.Perm())
	for _, x := range modeFlags {
		if m&x.flag != 0 {
			bits |= x.bit
		}
	}
	return bits
}

var modeFlags = [...]struct {
	flag os.FileMode
	bit  uint32
}{{os.ModeSetuid, 0o4000}, {os.ModeSetgid, 0o2000}, {os.ModeSticky, 0o1000}}

var modeTypes = map[uint32]os.FileMode{
	ModeSocket: os.ModeSocket, ModeSymlink: os.ModeSymlink, ModeBlock: os.ModeDevice,
	ModeDir: os.ModeDir, ModeChar: os.ModeDevice | os.ModeCharDevice, ModeFIFO: os.ModeNamedPipe,
}

// billyInfo is an object's attributes as an os.FileInfo.
type billyInfo struct {
	name string
	attr Attr
}

func (i *billyInfo) Name() string       { return i.name }
func (i *billyInfo) Size() int64        { return int64(i.attr.Size) }
func (i *billyInfo) ModTime() time.Time { return time.Unix(i.attr.Mtime.Sec, int64(i.attr.Mtime.Nsec)) }
func (i *billyInfo) IsDir() bool        { return i.attr.IsDir() }
func (i *billyInfo) Sys() any           { return &i.attr }

func (i *billyInfo) Mode() os.FileMode {
	m := os.FileMode(i.attr.Mode&0o777) | modeTypes[i.attr.Mode&ModeType]
	for _, x := range modeFlags {
		if i.attr.Mode&x.bit != 0 {
			m |= x.flag
		}
	}
	return m
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

// billyFile is an open file: an object and an offset.
type billyFile struct {
	b      *billyFS
	name   string
	id     ID
	flag   int
	off    int64
	closed bool
}

func (f *billyFile) Name() string { return f.name }

// usable gives the error of a call on a file that is closed or not open for it.
func (f *billyFile) usable(write bool) error {
	access := f.flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
	switch {
	case f.closed:
		return fs.ErrClosed
	case write && access == os.O_RDONLY, !write && access == os.O_WRONLY:
		return syscall.EBADF
	}
	return nil
}

func (f *billyFile) Write(p []byte) (int, error) {
	err := f.usable(true)
	if err == nil && f.flag&os.O_APPEND != 0 {
		f.off, err = f.size()
	}
	if err == nil {
		var w Change
		err = f.b.o.Write(f.b.who, f.id, p, uint64(f.off), Unstable, &w)
	}
	if err != nil {
		return 0, pathErr("write", f.name, err)
	}
	f.off += int64(len(p))
	return len(p), nil
}

func (f *billyFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.off)
	f.off += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (f *billyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.usable(false); err != nil {
		return 0, pathErr("read", f.name, err)
	}
	if off < 0 {
		return 0, pathErr("read", f.name, syscall.EINVAL)
	}
	n := 0
	for n < len(p) {
		var a Attr
		m, eof, err := f.b.o.Read(f.b.who, f.id, p[n:], uint64(off)+uint64(n), &a)
		n += m
		if err != nil {
			return n, pathErr("read", f.name, err)
		}
		if eof && n < len(p) || m == 0 {
			return n, io.EOF
		}
	}
	return n, nil
}

func (f *billyFile) Seek(off int64, whence int) (int64, error) {
	base := int64(0)
	var err error
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		base = f.off
	case io.SeekEnd:
		base, err = f.size()
	default:
		err = syscall.EINVAL
	}
	if err == nil && base+off < 0 {
		err = syscall.EINVAL
	}
	if err == nil && f.closed {
		err = fs.ErrClosed
	}
	if err != nil {
		return 0, pathErr("seek", f.name, err)
	}
	f.off = base + off
	return f.off, nil
}

func (f *billyFile) size() (int64, error) {
	var a Attr
	err := f.b.o.Getattr(f.id, &a)
	return int64(a.Size), err
}

func (f *billyFile) Truncate(size int64) error {
	err := f.usable(true)
	if err == nil && size < 0 {
		err = syscall.EINVAL
	}
	if err == nil {
		var w Change
		err = f.b.o.Setattr(f.b.who, f.id, &SetAttr{SetSize: true, Size: uint64(size)}, &w)
	}
	return pathErr("truncate", f.name, err)
}

func (f *billyFile) Close() error {
	if f.closed {
		return pathErr("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

// Lock is not supported: a lock that other processes do not see would deceive.
func (f *billyFile) Lock() error { return pathErr("lock", f.name, billy.ErrNotSupported) }

// Unlock is not supported.
func (f *billyFile) Unlock() error { return pathErr("unlock", f.name, billy.ErrNotSupported) }
