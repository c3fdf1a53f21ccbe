package oncrpc

import (
	"encoding/binary"
	"io"
)

const (
	bufferSize = 256 << 10
	// peekSize is what is read behind a record that did not fit the buffer: most
	// often another such follows, and what is read of it would be moved again.
	peekSize = 4 << 10
)

// Memory lends a Reader the memory for records that its own buffer cannot hold.
type Memory interface {
	// Big gives an empty slice with room for a whole record. It may wait.
	Big() []byte
}

// Reader cuts a stream into records. It reads as much as there is at once, and
// hands out records in its buffer where they lie in one fragment there. Others
// are put together in memory that becomes the taker's own.
type Reader struct {
	src    io.Reader
	mem    Memory
	limit  int
	buf    []byte
	r, w   int // what of buf has been read and not been handed out
	a      assembly
	within bool // a is in use: the record is not whole in buf
	peek   bool
}

// NewReader gives a Reader of src's records, of at most limit bytes each.
func NewReader(src io.Reader, mem Memory, limit int) *Reader {
	return &Reader{src: src, mem: mem, limit: limit, buf: make([]byte, bufferSize)}
}

// Unread puts what was read from the source elsewhere before all that is to come;
// it is called before anything else, with far less than a record.
func (d *Reader) Unread(b []byte) { d.w = copy(d.buf, b) }

// Next gives the next record that has arrived whole, or nil when Fill has to be
// called first. The record is valid until the next call, except when own is
// set: then it is in the Memory's memory, and the taker's.
func (d *Reader) Next() (rec []byte, own bool, err error) {
	if !d.within {
		rec, err = d.whole()
		if rec != nil || err != nil {
			return rec, false, err
		}
	}
	for d.within {
		d.r += d.a.take(d.buf[d.r:d.w])
		if d.a.done() {
			rec, d.within, d.a.rec = d.a.rec, false, nil
			return rec, true, nil
		}
		if d.a.need > 0 || d.w-d.r < MarkSize {
			return nil, false, nil
		}
		if err := d.nextFragment(); err != nil {
			return nil, false, err
		}
	}
	return nil, false, nil
}

// whole gives the next record when it is one fragment in the buffer. When it
// never will be, it starts an assembly.
func (d *Reader) whole() ([]byte, error) {
	if d.w-d.r < MarkSize {
		return nil, nil
	}
	m := binary.BigEndian.Uint32(d.buf[d.r:])
	n := int(m &^ lastFragment)
	if n > d.limit {
		return nil, ErrTooLong
	}
	if m&lastFragment == 0 || n > bufferSize-MarkSize {
		d.within, d.peek = true, true
		d.a = assembly{rec: d.mem.Big(), limit: d.limit}
		return nil, d.nextFragment()
	}
	if d.w-d.r-MarkSize < n {
		return nil, nil
	}
	at := d.r + MarkSize
	d.r = at + n
	return d.buf[at:d.r:d.r], nil
}

func (d *Reader) nextFragment() error {
	err := d.a.mark(d.buf[d.r:d.w])
	d.r += MarkSize
	return err
}

// Partial reports whether part of a record has arrived.
func (d *Reader) Partial() bool { return d.within || d.w > d.r }

// Rest gives what has been read behind the last record, as the beginning of a stream in which
// the fragments that have arrived of the next are one.
func (d *Reader) Rest() []byte {
	var b []byte
	if d.within {
		mark := uint32(len(d.a.rec) + d.a.need)
		if d.a.last {
			mark |= lastFragment
		}
		b = append(binary.BigEndian.AppendUint32(nil, mark), d.a.rec...)
	}
	return append(b, d.buf[d.r:d.w]...)
}

// Abandon gives back the memory of a record that will never be whole, if any.
func (d *Reader) Abandon() []byte {
	rec := d.a.rec
	d.a.rec, d.within = nil, false
	return rec
}

// Fill reads once from the source. It is called when Next gave nothing.
func (d *Reader) Fill() error {
	if d.within && d.a.need > 0 && d.r == d.w {
		return d.fillAssembly()
	}
	d.makeRoom()
	to := len(d.buf)
	if d.peek {
		to, d.peek = min(to, d.w+peekSize), false
	}
	n, err := d.src.Read(d.buf[d.w:to])
	d.w += n
	return d.ended(n, err)
}

// makeRoom sees to it that there is room to read into.
func (d *Reader) makeRoom() {
	if d.r == d.w {
		d.r, d.w = 0, 0
	} else if len(d.buf)-d.w < peekSize {
		d.w = copy(d.buf, d.buf[d.r:d.w])
		d.r = 0
	}
}

// fillAssembly reads straight to where the record is put together.
func (d *Reader) fillAssembly() error {
	at := len(d.a.rec)
	n := min(d.a.need, cap(d.a.rec)-at)
	if n == 0 {
		return ErrTooLong // Memory promised room for limit bytes
	}
	d.peek = true
	n, err := d.src.Read(d.a.rec[at : at+n])
	d.a.rec = d.a.rec[:at+n]
	d.a.need -= n
	return d.ended(n, err)
}

// ended judges the end of a read that brought n bytes.
func (d *Reader) ended(n int, err error) error {
	if n > 0 {
		return nil // an error comes again with the next read
	}
	return inside(err, d.Partial())
}
