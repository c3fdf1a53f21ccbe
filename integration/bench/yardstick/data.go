package yardstick

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// readHead is what comes between the attributes and the data of a READ.
const readHead = 12

// putReadHead appends what comes before n bytes of data, and the room for these, which it gives.
func putReadHead(e *xdr.Encoder, st *unix.Stat_t, n int) []byte {
	putPost(e, st)
	at := len(e.B) + readHead
	e.B = slices.Grow(e.B, readHead+n+xdr.Pad(n))[:at+n]
	return e.B[at:]
}

// putReadTail fills in how much was read, into the room of at least as much.
func putReadTail(e *xdr.Encoder, st *unix.Stat_t, off uint64, n int) {
	end := len(e.B)
	e.B = e.B[:end-n-readHead]
	e.Uint32(uint32(n))
	e.Bool(int64(off)+int64(n) >= st.Size)
	e.Uint32(uint32(n))
	e.B = append(e.B[:end], make([]byte, xdr.Pad(n))...)
}

func (s *server) read(n *node, d *xdr.Decoder, e *xdr.Encoder) error {
	off, count := d.Uint64(), min(int(d.Uint32()), maxIO)
	var st unix.Stat_t
	fd, err := s.descriptor(n)
	if err == nil {
		err = unix.Fstat(fd, &st)
	}
	if err != nil {
		return err
	}
	count = max(min(count, int(st.Size)-int(off)), 0)
	got, err := unix.Pread(fd, putReadHead(e, &st, count), int64(off))
	if err != nil {
		return err
	}
	e.B = e.B[:len(e.B)-count+got]
	putReadTail(e, &st, off, got)
	return nil
}

func (s *server) write(n *node, d *xdr.Decoder, e *xdr.Encoder) error {
	off := d.Uint64()
	d.Uint32()
	how, data := d.Uint32(), d.Opaque(maxRecord)
	var before, after unix.Stat_t
	fd, err := s.descriptor(n)
	if err == nil {
		err = unix.Fstat(fd, &before)
	}
	if err == nil {
		_, err = unix.Pwrite(fd, data, int64(off))
	}
	if err == nil && how > 0 {
		err = unix.Fsync(fd)
	}
	if err == nil {
		err = unix.Fstat(fd, &after)
	}
	if err != nil {
		return err
	}
	putPre(e, &before)
	putPost(e, &after)
	e.Uint32(uint32(len(data)))
	e.Uint32(how)
	e.Uint64(0)
	return nil
}

func (s *server) commit(n *node, _ *xdr.Decoder, e *xdr.Encoder) error {
	fd, err := s.descriptor(n)
	if err == nil {
		err = unix.Fsync(fd)
	}
	if err != nil {
		return err
	}
	e.Bool(false)
	putPostOf(e, n.path)
	e.Uint64(0)
	return nil
}
