package oncrpc

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

const (
	// MarkSize is the length in bytes of a fragment's header (RFC 5531 §11).
	MarkSize = 4

	lastFragment = 1 << 31
	// readStep is how much memory a claimed length gets before its bytes arrive.
	readStep = 64 << 10
	// maxEmpty bounds the empty fragments of a record, which its length does not.
	maxEmpty = 1024
)

// Errors of ReadRecord and Reader.
var (
	// ErrTooLong is a record that is longer than the limit.
	ErrTooLong = errors.New("record is too long")
	// ErrFragments is a record of far too many empty fragments.
	ErrFragments = errors.New("record has too many empty fragments")
)

// BeginRecord leaves room for the mark of a record that is appended to e next,
// and gives the place that EndRecord wants.
func BeginRecord(e *xdr.Encoder) (at int) {
	at = len(e.B)
	e.Uint32(0)
	return at
}

// EndRecord fills in the mark of the record that began at at: one fragment.
func EndRecord(e *xdr.Encoder, at int) {
	e.Patch32(at, lastFragment|uint32(len(e.B)-at-MarkSize))
}

// AppendRecord appends a message as a record of one fragment.
func AppendRecord(b, msg []byte) []byte {
	e := xdr.Encoder{B: b}
	at := BeginRecord(&e)
	e.B = append(e.B, msg...)
	EndRecord(&e, at)
	return e.B
}

// ReadRecord reads one record of at most limit bytes into buf's memory, which it
// grows as bytes arrive, and gives the record. The error is io.EOF when r ends
// before the record begins, io.ErrUnexpectedEOF when it ends inside.
func ReadRecord(r io.Reader, buf []byte, limit int) ([]byte, error) {
	a := assembly{rec: buf[:0], limit: limit}
	mark := make([]byte, MarkSize)
	for {
		if _, err := io.ReadFull(r, mark); err != nil {
			return nil, inside(err, a.began)
		}
		if err := a.mark(mark); err != nil {
			return nil, err
		}
		if err := a.fill(r); err != nil {
			return nil, err
		}
		if a.last {
			return a.rec, nil
		}
	}
}

// assembly is a record in the making.
type assembly struct {
	rec   []byte // what has arrived
	need  int    // what is to come of the present fragment
	last  bool   // the present fragment is the last
	began bool   // a mark has arrived
	empty int    // fragments without a byte
	limit int
}

// mark takes in a fragment's header.
func (a *assembly) mark(b []byte) error {
	m := binary.BigEndian.Uint32(b)
	a.began, a.last = true, m&lastFragment != 0
	n := m &^ lastFragment
	if uint64(n) > uint64(a.limit-len(a.rec)) {
		return ErrTooLong
	}
	if n == 0 {
		a.empty++
	}
	if a.empty > maxEmpty {
		return ErrFragments
	}
	a.need = int(n)
	return nil
}

// take moves bytes of the present fragment from b and gives how many.
func (a *assembly) take(b []byte) int {
	n := min(len(b), a.need)
	a.rec = append(a.rec, b[:n]...)
	a.need -= n
	return n
}

// fill reads the rest of the present fragment.
func (a *assembly) fill(r io.Reader) error {
	for a.need > 0 {
		at := len(a.rec)
		step := min(a.need, max(readStep, cap(a.rec)-at))
		a.rec = slices.Grow(a.rec, step)[:at+step]
		n, err := io.ReadFull(r, a.rec[at:])
		a.rec = a.rec[:at+n]
		a.need -= n
		if err != nil {
			return inside(err, true)
		}
	}
	return nil
}

// done reports whether the record is complete.
func (a *assembly) done() bool { return a.last && a.need == 0 }

func inside(err error, began bool) error {
	if began && err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
