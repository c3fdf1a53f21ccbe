package overlay

import (
	"encoding/binary"
	"errors"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// segment is one of the files of the journal's log. All of it is mapped, so that a record is
// read without a system call.
type segment struct {
	file *os.File
	b    []byte // the mapping; nil: there is none
	// seen has a bit for each part of the mapping that was touched.
	seen [segmentBytes / seenBytes / 64]atomic.Uint64
}

const (
	// seenBytes is what the kernel maps at once when a page of it is touched
	// (fault_around_bytes of its debugfs).
	seenBytes = 64 << 10
	// maxSeen bounds how many parts of all segments are in the process's memory.
	maxSeen = 128
)

// openSegment opens a segment that is there. One that nobody can have written is not mapped.
func openSegment(path string) (*segment, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	s := &segment{file: f}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && 0 < info.Size() && info.Size() <= segmentBytes {
		err = s.mapAll(info.Size())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

// makeSegment makes a segment of so many bytes: fewer on a disk that is nearly full.
func makeSegment(path string, size int64) (*segment, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	s := &segment{file: f}
	if err = extend(f, 0, size); err != nil {
		size = smallSegment
		err = errors.Join(f.Truncate(0), extend(f, 0, size))
	}
	if err == nil {
		err = s.mapAll(size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return s, nil
}

func (s *segment) mapAll(size int64) (err error) {
	s.b, err = unix.Mmap(int(s.file.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return err
}

// read copies the record at an offset to buf, and gives its length. What it cannot read it
// leaves to pread, which can tell why.
func (s *segment) read(off int64, buf *[maxRecord]byte) (n int) {
	if off+recordHead > int64(len(s.b)) {
		return 0
	}
	guarded(func() {
		size := binary.BigEndian.Uint16(s.b[off:])
		n = copy(buf[:min(int(size), maxRecord)], s.b[off:])
	})
	return n
}

// see notes that the part of the mapping at an offset is touched, and reports whether it was not
// before.
func (s *segment) see(off int64) bool {
	part := off / seenBytes
	word, bit := &s.seen[part/64], uint64(1)<<(part%64)
	return word.Load()&bit == 0 && word.Or(bit)&bit == 0
}

// leave has the kernel keep what is mapped in its own memory alone, as it does without a mapping.
func (s *segment) leave() {
	for i := range s.seen {
		s.seen[i].Store(0)
	}
	if s.b != nil {
		_ = unix.Madvise(s.b, unix.MADV_DONTNEED)
	}
}

func (s *segment) close() (err error) {
	if s.b != nil {
		err = unix.Munmap(s.b)
		s.b = nil
	}
	return errors.Join(err, s.file.Close())
}
