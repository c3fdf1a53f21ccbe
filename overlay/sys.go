package overlay

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sysStat is what the file systems under the layers say of an object. born is the time
// of its birth, where the system tells it; so is gen, in nanoseconds, where inode numbers
// are used again.
type sysStat struct {
	dev, ino, gen       uint64
	mode, nlink         uint32
	uid, gid            uint32
	size, used          uint64
	major, minor        uint32
	atime, mtime, ctime Time
	born                Time
}

func (st *sysStat) typ() uint32 { return st.mode & ModeType }

func (st *sysStat) isDir() bool { return st.typ() == ModeDir }

// cName is a name as system calls take it: it ends in a NUL.
type cName struct {
	b [256]byte
}

// set makes a C string of a name of at most 255 bytes.
func (c *cName) set(name []byte) *byte {
	n := copy(c.b[:255], name)
	c.b[n] = 0
	return &c.b[0]
}

// cString gives a string that ends in a NUL to a system call.
func cString(s string) *byte { return unsafe.StringData(s) }

// nameBytes is a C string without its end.
func nameBytes(p *byte) []byte {
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return unsafe.Slice(p, n)
}

// goString copies a C string.
func goString(p *byte) string { return string(nameBytes(p)) }

// dirTarget is a directory that is open, without a look-up.
func dirTarget(fd int) target { return target{fd: fd, path: true, dirfd: fd, name: &dotName[0]} }

// setTimes gives an object the access and modification times of st.
func (t target) setTimes(st *sysStat) error { return t.utimes(timespec(st.atime), timespec(st.mtime)) }

func timespec(t Time) unix.Timespec { return unix.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)} }

// splitNames takes apart the list that listxattr gives.
func splitNames(b []byte) (names []string) {
	for len(b) > 0 {
		i := 0
		for i < len(b) && b[i] != 0 {
			i++
		}
		names = append(names, string(b[:i]))
		b = b[min(i+1, len(b)):]
	}
	return names
}

func sysPread(fd int, p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(fd, p, off)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// sysPwrite writes all of p.
func sysPwrite(fd int, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := unix.Pwrite(fd, p, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
		off += int64(n)
	}
	return nil
}

func sysFsync(fd int) error {
	for {
		if err := unix.Fsync(fd); err != unix.EINTR {
			return err
		}
	}
}

func sysFtruncate(fd int, size uint64) error {
	if size > 1<<63-1 {
		return unix.EFBIG
	}
	for {
		if err := unix.Ftruncate(fd, int64(size)); err != unix.EINTR {
			return err
		}
	}
}
