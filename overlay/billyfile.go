package overlay

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/go-git/go-billy/v5"
)

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
