// Package xdr holds the XDR (RFC 4506) primitives that ONC RPC and NFSv3 are
// made of, over plain byte slices: no reflection, no io.Reader, no allocation.
package xdr

import (
	"encoding/binary"
	"errors"
)

// ErrBad is a Decoder's error: the message ends early, a length is beyond its
// bound, or a boolean is neither 0 nor 1.
var ErrBad = errors.New("xdr: malformed message")

var zeros [4]byte

// Pad is how many bytes follow n bytes of opaque data to fill a whole number of
// four-byte units (RFC 4506 §3).
func Pad(n int) int { return -n & 3 }

// Encoder appends XDR to B.
type Encoder struct{ B []byte }

// Uint32 appends an unsigned int, an int or an enum.
func (e *Encoder) Uint32(v uint32) { e.B = binary.BigEndian.AppendUint32(e.B, v) }

// Uint64 appends an unsigned hyper.
func (e *Encoder) Uint64(v uint64) { e.B = binary.BigEndian.AppendUint64(e.B, v) }

// Bool appends a bool.
func (e *Encoder) Bool(v bool) {
	if v {
		e.Uint32(1)
	} else {
		e.Uint32(0)
	}
}

// Fixed appends a fixed-length opaque and its padding.
func (e *Encoder) Fixed(b []byte) {
	e.B = append(e.B, b...)
	e.B = append(e.B, zeros[:Pad(len(b))]...)
}

// Opaque appends a variable-length opaque.
func (e *Encoder) Opaque(b []byte) {
	e.Uint32(uint32(len(b)))
	e.Fixed(b)
}

// String appends a string.
func (e *Encoder) String(s string) {
	e.Uint32(uint32(len(s)))
	e.B = append(e.B, s...)
	e.B = append(e.B, zeros[:Pad(len(s))]...)
}

// Patch32 overwrites the four bytes at off, which an earlier call appended.
func (e *Encoder) Patch32(off int, v uint32) { binary.BigEndian.PutUint32(e.B[off:], v) }

// Decoder reads XDR from B. What it gives aliases B. After the first failure
// Err is set and every further read gives a zero value.
type Decoder struct {
	B   []byte
	Off int
	Err error
}

// Fixed gives the next n bytes and skips their padding.
func (d *Decoder) Fixed(n int) []byte {
	if d.Err != nil || n < 0 || n > len(d.B)-d.Off || n+Pad(n) > len(d.B)-d.Off {
		d.fail()
		return nil
	}
	b := d.B[d.Off : d.Off+n : d.Off+n]
	d.Off += n + Pad(n)
	return b
}

// Uint32 reads an unsigned int, an int or an enum.
func (d *Decoder) Uint32() uint32 {
	if d.Err != nil || len(d.B)-d.Off < 4 {
		d.fail()
		return 0
	}
	v := binary.BigEndian.Uint32(d.B[d.Off:])
	d.Off += 4
	return v
}

// Uint64 reads an unsigned hyper.
func (d *Decoder) Uint64() uint64 {
	if d.Err != nil || len(d.B)-d.Off < 8 {
		d.fail()
		return 0
	}
	v := binary.BigEndian.Uint64(d.B[d.Off:])
	d.Off += 8
	return v
}

// Bool reads a bool; anything but 0 and 1 is malformed.
func (d *Decoder) Bool() bool {
	v := d.Uint32()
	if v > 1 {
		d.fail()
	}
	return v == 1
}

// Opaque reads a variable-length opaque of at most limit bytes.
func (d *Decoder) Opaque(limit int) []byte {
	n := d.Uint32()
	if d.Err != nil || uint64(n) > uint64(limit) {
		d.fail()
		return nil
	}
	return d.Fixed(int(n))
}

// Left is how many bytes have not been read.
func (d *Decoder) Left() int { return len(d.B) - d.Off }

func (d *Decoder) fail() {
	if d.Err == nil {
		d.Err = ErrBad
	}
}
