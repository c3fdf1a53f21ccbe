package xdr_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// FuzzDecode reads anything in any order: what is read encodes to what was there, but for
// padding, which counts for nothing, and nothing behind the end is read.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 3, 9}, message())
	f.Add([]byte{4}, []byte{0, 0, 0, 1, 'x', 0, 0, 7})
	f.Add([]byte{4}, []byte{0xff, 0xff, 0xff, 0xff, 'x', 0, 0, 0})
	f.Add([]byte{2}, []byte{0, 0, 0, 2})
	f.Fuzz(func(t *testing.T, script, b []byte) {
		b = slices.Clone(b)
		d := xdr.Decoder{B: b}
		var e xdr.Encoder
		for _, op := range script {
			at := len(e.B)
			copyItem(&d, &e, op)
			if d.Err != nil {
				e.B = e.B[:at]
				break
			}
			if d.Off != len(e.B) || d.Off > len(b) {
				t.Fatalf("read %d of %d bytes, which encode to %d", d.Off, len(b), len(e.B))
			}
		}
		if !bytes.Equal(e.B, b[:len(e.B)]) {
			t.Errorf("% x is read as % x", b[:len(e.B)], e.B)
		}
		if d.Err != nil && (d.Uint32() != 0 || d.Uint64() != 0 || d.Bool() || d.Opaque(9) != nil || d.Fixed(1) != nil) {
			t.Error("a value was read behind an error")
		}
	})
}

// copyItem decodes what op says and encodes it again. Padding is taken for zeros.
func copyItem(d *xdr.Decoder, e *xdr.Encoder, op byte) {
	const limit = 64
	switch op % 5 {
	case 0:
		e.Uint32(d.Uint32())
	case 1:
		e.Uint64(d.Uint64())
	case 2:
		e.Bool(d.Bool())
	case 3:
		b := d.Fixed(int(op) / 5)
		e.Fixed(b)
		clearPad(d, len(b))
	case 4:
		b := d.Opaque(limit)
		e.Opaque(b)
		clearPad(d, len(b))
	}
}

func clearPad(d *xdr.Decoder, n int) {
	if d.Err == nil {
		clear(d.B[d.Off-xdr.Pad(n) : d.Off])
	}
}
