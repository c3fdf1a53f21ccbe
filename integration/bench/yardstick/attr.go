package yardstick

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

const (
	fattrSize = 84
	noPost    = 4 // a post_op_attr without attributes
	noWcc     = 8 // a wcc_data without
)

// ftype gives the ftype3 of what the benchmark's trees hold (RFC 1813 §2.6).
func ftype(mode uint32) uint32 {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return 2
	case unix.S_IFLNK:
		return 5
	}
	return 1
}

// putAttr appends a fattr3.
func putAttr(e *xdr.Encoder, st *unix.Stat_t) {
	e.B = slices.Grow(e.B, fattrSize)
	b := e.B[len(e.B) : len(e.B)+fattrSize]
	e.B = e.B[:len(e.B)+fattrSize]
	be := binary.BigEndian
	be.PutUint32(b, ftype(uint32(st.Mode)))
	be.PutUint32(b[4:], uint32(st.Mode)&0o7777)
	be.PutUint32(b[8:], uint32(st.Nlink))
	be.PutUint32(b[12:], st.Uid)
	be.PutUint32(b[16:], st.Gid)
	be.PutUint64(b[20:], uint64(st.Size))
	be.PutUint64(b[28:], uint64(st.Blocks)*512)
	be.PutUint64(b[36:], 0) // no devices
	be.PutUint64(b[44:], 1) // one file system
	be.PutUint64(b[52:], st.Ino)
	putTime(b[60:], st.Atim)
	putTime(b[68:], st.Mtim)
	putTime(b[76:], st.Ctim)
}

func putTime(b []byte, t unix.Timespec) {
	binary.BigEndian.PutUint32(b, uint32(t.Sec))
	binary.BigEndian.PutUint32(b[4:], uint32(t.Nsec))
}

// putPost appends a post_op_attr.
func putPost(e *xdr.Encoder, st *unix.Stat_t) {
	e.Bool(true)
	putAttr(e, st)
}

// putPostOf asks for the attributes first.
func putPostOf(e *xdr.Encoder, path string) {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		e.Bool(false)
		return
	}
	putPost(e, &st)
}

// putPre appends a pre_op_attr.
func putPre(e *xdr.Encoder, st *unix.Stat_t) {
	var b [16]byte
	e.Bool(true)
	e.Uint64(uint64(st.Size))
	putTime(b[:], st.Mtim)
	putTime(b[8:], st.Ctim)
	e.B = append(e.B, b[:]...)
}

// sattr is a sattr3, without the owners, which the benchmark never sets.
type sattr struct {
	mode, size *uint64
	times      []unix.Timespec // atime and mtime, where one of them is set
}

func decodeSattr(d *xdr.Decoder) (s sattr) {
	if d.Bool() {
		s.mode = new(uint64(d.Uint32()))
	}
	for range 2 {
		if d.Bool() {
			d.Uint32()
		}
	}
	if d.Bool() {
		s.size = new(d.Uint64())
	}
	atime, mtime := decodeTime(d), decodeTime(d)
	if atime.Nsec != utimeOmit || mtime.Nsec != utimeOmit {
		s.times = []unix.Timespec{atime, mtime}
	}
	return s
}

// utimeNow and utimeOmit are UTIME_NOW and UTIME_OMIT of utimensat(2) on Linux.
const (
	utimeNow  = 1<<30 - 1
	utimeOmit = 1<<30 - 2
)

// decodeTime reads a set_atime or set_mtime.
func decodeTime(d *xdr.Decoder) unix.Timespec {
	switch d.Uint32() {
	case 1:
		return unix.Timespec{Nsec: utimeNow}
	case 2:
		return unix.Timespec{Sec: int64(d.Uint32()), Nsec: int64(d.Uint32())}
	}
	return unix.Timespec{Nsec: utimeOmit}
}

// apply changes what s names.
func (s *sattr) apply(path string) error {
	if s.mode != nil {
		if err := unix.Chmod(path, uint32(*s.mode)); err != nil {
			return err
		}
	}
	if s.size != nil {
		if err := unix.Truncate(path, int64(*s.size)); err != nil {
			return err
		}
	}
	if s.times != nil {
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, s.times, unix.AT_SYMLINK_NOFOLLOW)
	}
	return nil
}
