package applenfs

import (
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// File is an open file or directory.
type File struct {
	m      *Mount
	n      *node
	name   string
	flag   int
	off    int64
	cookie uint64 // of a directory
	atEnd  bool
	closed bool
}

// OpenFile is open(2); flags are those of package os, and mode is not masked.
func (m *Mount) OpenFile(name string, flag int, mode fs.FileMode) (*File, error) {
	defer m.begin()()
	n, err := m.openNode(name, flag, modeBits(mode))
	if err == nil {
		err = m.opened(n, flag)
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &File{m: m, n: n, name: name, flag: flag}, nil
}

// Open opens for reading.
func (m *Mount) Open(name string) (*File, error) { return m.OpenFile(name, os.O_RDONLY, 0) }

// openNode finds or makes what is to be opened.
func (m *Mount) openNode(name string, flag int, bits uint32) (*node, error) {
	if flag&os.O_CREATE != 0 {
		n, err := m.createNode(name, flag, bits)
		if n != nil || err != nil {
			return n, err
		}
	}
	n, err := m.walk(name, true)
	if err != nil {
		return nil, err
	}
	return n, m.mayOpen(n, flag)
}

// createNode makes a file, or gives nil when there is one.
func (m *Mount) createNode(name string, flag int, bits uint32) (*node, error) {
	dir, last, err := m.walkParent(name)
	if err != nil {
		return nil, err
	}
	err = m.absent(dir, last)
	switch {
	case err == syscall.EEXIST && flag&os.O_EXCL == 0:
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := m.may(dir, nfsclient.AccessModify|nfsclient.AccessExtend); err != nil {
		return nil, err
	}
	n, err := m.create(dir, last, bits, flag&os.O_EXCL != 0)
	if err != nil {
		return nil, err
	}
	return n, m.removeCompanion(dir, last, false)
}

func writes(flag int) bool { return flag&(os.O_WRONLY|os.O_RDWR) != 0 }

func (m *Mount) mayOpen(n *node, flag int) error {
	var rights uint32
	if flag&os.O_WRONLY == 0 {
		rights |= nfsclient.AccessRead
	}
	if writes(flag) {
		rights |= nfsclient.AccessModify | nfsclient.AccessExtend
	}
	switch {
	case n.isDir() && writes(flag):
		return syscall.EISDIR
	case n.kind == nfsclient.Lnk:
		return syscall.ELOOP
	}
	return m.may(n, rights)
}

// opened counts an open and looks whether the cache is still right (nfs_vnops.c,
// nfs_vnop_open): an open asks the server nothing as long as the attributes are fresh.
func (m *Mount) opened(n *node, flag int) error {
	if n.modified {
		n.listing.forgetCookies()
		n.data.failed = m.invalidate(n)
	}
	if err := m.attrs(n, cached); err != nil {
		return err
	}
	if flag&os.O_TRUNC != 0 && writes(flag) {
		if err := m.setattr(n, &nfsclient.SetAttr{Size: new(uint64(0))}); err != nil {
			return err
		}
	}
	n.opens++
	if writes(flag) {
		n.writing++
	}
	return nil
}

// Close is close(2): it writes and commits (nfs_vnop_close), and ends a silly name.
func (f *File) Close() error {
	return f.do("close", func() error {
		f.closed = true
		var err error
		if f.n.kind == nfsclient.Reg && writes(f.flag) {
			if f.n.modified {
				err = f.m.flush(f.n)
				f.n.stamp = never
			}
			if err == nil {
				err = f.n.data.takeFailure()
			}
			f.n.writing--
		}
		f.n.opens--
		if inactiveErr := f.m.inactive(f.n); err == nil {
			err = inactiveErr
		}
		return err
	})
}

// do carries out op.
func (f *File) do(op string, call func() error) error {
	defer f.m.begin()()
	if f.closed {
		return fs.ErrClosed
	}
	return pathError(op, f.name, call())
}

// Name is what the file was opened as.
func (f *File) Name() string { return f.name }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.do("read", func() (err error) {
		if f.flag&os.O_WRONLY != 0 {
			return syscall.EBADF
		}
		if f.n.isDir() {
			return syscall.EISDIR
		}
		n, err = f.m.read(f.n, p, uint64(off))
		return err
	})
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Read implements io.Reader.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.off)
	f.off += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	_, err := f.writeAt(p, off)
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (int, error) {
	off, err := f.writeAt(p, f.off)
	if err != nil {
		return 0, err
	}
	f.off = int64(off) + int64(len(p))
	return len(p), nil
}

func (f *File) writeAt(p []byte, off int64) (at uint64, err error) {
	err = f.do("write", func() (err error) {
		if !writes(f.flag) {
			return syscall.EBADF
		}
		at, err = f.m.write(f.n, p, uint64(off), f.flag&os.O_APPEND != 0)
		return err
	})
	return at, err
}

// Seek implements io.Seeker.
func (f *File) Seek(off int64, whence int) (int64, error) {
	err := f.do("seek", func() error {
		switch whence {
		case io.SeekCurrent:
			off += f.off
		case io.SeekEnd:
			if err := f.m.attrs(f.n, cached); err != nil {
				return err
			}
			off += int64(f.n.attr.Size)
		}
		if off < 0 {
			return syscall.EINVAL
		}
		f.off, f.cookie, f.atEnd = off, 0, false
		return nil
	})
	return f.off, err
}

// Sync is fsync(2).
func (f *File) Sync() error { return f.do("fsync", func() error { return f.m.flush(f.n) }) }

// Truncate is ftruncate(2).
func (f *File) Truncate(size int64) error {
	return f.set("ftruncate", &nfsclient.SetAttr{Size: new(uint64(size))})
}

// Chmod is fchmod(2).
func (f *File) Chmod(mode fs.FileMode) error {
	bits := modeBits(mode)
	return f.set("fchmod", &nfsclient.SetAttr{Mode: &bits})
}

// Chtimes is futimes(2).
func (f *File) Chtimes(atime, mtime time.Time) error { return f.set("futimes", times(atime, mtime)) }

func (f *File) set(op string, s *nfsclient.SetAttr) error {
	return f.do(op, func() error { return f.m.setAll(f.n, s) })
}

// Stat is fstat(2).
func (f *File) Stat() (info *Info, err error) {
	err = f.do("fstat", func() error {
		if err := f.m.attrs(f.n, cached); err != nil {
			return err
		}
		info = &Info{path.Base(f.name), f.n.attr}
		return nil
	})
	return info, err
}

// dirRoom is the buffer of macOS's readdir(3), in bytes.
const dirRoom = 8 << 10

// Entry is an entry of a directory. Mode holds the type only, and is 0 for a regular file
// or where READDIRPLUS is not used.
type Entry struct {
	Name   string
	Fileid uint64
	Mode   fs.FileMode
}

// ReadSome gives the entries that one getdirentries(2) gives, none at the end.
func (f *File) ReadSome() (got []Entry, err error) {
	err = f.do("readdir", func() error {
		if !f.n.isDir() {
			return syscall.ENOTDIR
		}
		if f.atEnd {
			return nil
		}
		entries, next, eof, err := f.m.readdir(f.n, f.cookie, dirRoom)
		for _, e := range entries {
			got = append(got, Entry{e.Name, e.Fileid, kinds[e.kind]})
		}
		f.cookie, f.atEnd = next, eof
		return err
	})
	return got, err
}

// ReadDir lists a directory, without "." and "..", in the server's order.
func (m *Mount) ReadDir(name string) ([]Entry, error) {
	f, err := m.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the listing is all there is to lose
	var all []Entry
	for {
		some, err := f.ReadSome()
		if err != nil || len(some) == 0 {
			return all, err
		}
		for _, e := range some {
			if e.Name != "." && e.Name != ".." {
				all = append(all, e)
			}
		}
	}
}
