package xdr_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/runtime"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

func TestPad(t *testing.T) {
	for n, want := range []int{0, 3, 2, 1, 0, 3, 2, 1, 0} {
		if got := xdr.Pad(n); got != want {
			t.Errorf("Pad(%d): got %d, want %d", n, got, want)
		}
	}
}

// TestEncode compares each primitive with what buildbarn's runtime writes.
func TestEncode(t *testing.T) {
	tt := []struct {
		name string
		got  func(e *xdr.Encoder)
		want func(b *bytes.Buffer)
	}{
		{"uint32", func(e *xdr.Encoder) { e.Uint32(0xfedcba98) }, func(b *bytes.Buffer) { runtime.WriteUnsignedInt(b, 0xfedcba98) }},
		{"uint64", func(e *xdr.Encoder) { e.Uint64(math.MaxUint64 - 1) }, func(b *bytes.Buffer) { runtime.WriteUnsignedHyper(b, math.MaxUint64-1) }},
		{"true", func(e *xdr.Encoder) { e.Bool(true) }, func(b *bytes.Buffer) { runtime.WriteBool(b, true) }},
		{"false", func(e *xdr.Encoder) { e.Bool(false) }, func(b *bytes.Buffer) { runtime.WriteBool(b, false) }},
		{"empty opaque", func(e *xdr.Encoder) { e.Opaque(nil) }, func(b *bytes.Buffer) { runtime.WriteVariableLengthOpaque(b, 9, nil) }},
		{"opaque", func(e *xdr.Encoder) { e.Opaque([]byte("12345")) }, func(b *bytes.Buffer) {
			runtime.WriteVariableLengthOpaque(b, 9, []byte("12345"))
		}},
		{"string", func(e *xdr.Encoder) { e.String("abc") }, func(b *bytes.Buffer) { runtime.WriteASCIIString(b, 9, "abc") }},
		{"fixed", func(e *xdr.Encoder) { e.Fixed([]byte("abcdef")) }, func(b *bytes.Buffer) {
			runtime.WriteFixedLengthOpaque(b, []byte("abcdef"))
		}},
		{"patch", func(e *xdr.Encoder) {
			e.Uint32(1)
			e.Uint32(2)
			e.Patch32(0, 3)
		}, func(b *bytes.Buffer) { runtime.WriteUnsignedHyper(b, 3<<32|2) }},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			e := xdr.Encoder{B: []byte("before")}
			e.B = e.B[:0]
			tt.got(&e)
			var want bytes.Buffer
			tt.want(&want)
			if !bytes.Equal(e.B, want.Bytes()) {
				t.Errorf("got %x, want %x", e.B, want.Bytes())
			}
		})
	}
}

// A message of every primitive, and how it is read back.
func message() []byte {
	var e xdr.Encoder
	e.Uint32(7)
	e.Uint64(1 << 40)
	e.Bool(true)
	e.Fixed([]byte("abcdef"))
	e.Opaque([]byte("12345"))
	e.String("")
	return e.B
}

func read(d *xdr.Decoder) (ok bool) {
	return d.Uint32() == 7 && d.Uint64() == 1<<40 && d.Bool() && string(d.Fixed(6)) == "abcdef" &&
		string(d.Opaque(5)) == "12345" && len(d.Opaque(0)) == 0 && d.Err == nil
}

func TestDecode(t *testing.T) {
	d := xdr.Decoder{B: message()}
	if !read(&d) || d.Left() != 0 {
		t.Errorf("error %v, %d bytes left", d.Err, d.Left())
	}
}

func TestDecodeTruncated(t *testing.T) {
	b := message()
	for n := range b {
		d := xdr.Decoder{B: b[:n]}
		if read(&d) || !errors.Is(d.Err, xdr.ErrBad) {
			t.Errorf("%d of %d bytes: got error %v, want ErrBad", n, len(b), d.Err)
		}
	}
}

func TestDecodeMalformed(t *testing.T) {
	tt := []struct {
		name string
		b    []byte
		read func(d *xdr.Decoder)
	}{
		{"boolean 2", []byte{0, 0, 0, 2}, func(d *xdr.Decoder) { d.Bool() }},
		{"beyond the limit", []byte{0, 0, 0, 4, 1, 2, 3, 4}, func(d *xdr.Decoder) { d.Opaque(3) }},
		{"longest claim", []byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, func(d *xdr.Decoder) { d.Opaque(math.MaxInt) }},
		{"longest signed claim", []byte{0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4}, func(d *xdr.Decoder) { d.Opaque(math.MaxInt) }},
		{"no padding", []byte{0, 0, 0, 3, 1, 2, 3}, func(d *xdr.Decoder) { d.Opaque(9) }},
		{"negative", []byte{1, 2, 3, 4}, func(d *xdr.Decoder) { d.Fixed(-1) }},
		{"overflowing", []byte{1, 2, 3, 4}, func(d *xdr.Decoder) { d.Fixed(math.MaxInt) }},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			d := xdr.Decoder{B: tt.b}
			tt.read(&d)
			if !errors.Is(d.Err, xdr.ErrBad) {
				t.Errorf("got error %v, want ErrBad", d.Err)
			}
		})
	}
}

// TestDecodeAfterFailure: what follows a failure gives zero values and goes nowhere.
func TestDecodeAfterFailure(t *testing.T) {
	d := xdr.Decoder{B: []byte{0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1}}
	d.Bool()
	off := d.Off
	if d.Uint32() != 0 || d.Uint64() != 0 || d.Bool() || d.Fixed(1) != nil || d.Opaque(9) != nil || d.Off != off {
		t.Errorf("a failed decoder goes on to %d", d.Off)
	}
}

func TestNoAllocations(t *testing.T) {
	b := message()
	var e xdr.Encoder
	got := testing.AllocsPerRun(100, func() {
		d := xdr.Decoder{B: b}
		e.B = e.B[:0]
		e.Uint32(d.Uint32())
		e.Uint64(d.Uint64())
		e.Bool(d.Bool())
		e.Fixed(d.Fixed(6))
		e.Opaque(d.Opaque(5))
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
