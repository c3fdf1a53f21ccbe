package oncrpc_test

import (
	"bytes"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// getattrCall is a call like a GETATTR's.
func getattrCall() []byte {
	var e xdr.Encoder
	cred := nfsclient.AuthSys(1000, 100, 100, 101, 102)
	oncrpc.AppendCall(&e, 1, nfsclient.NFSProgram, nfsclient.NFSVersion, nfsclient.ProcGetattr, &cred)
	e.Opaque(make([]byte, 28))
	return e.B
}

// endless is a stream that repeats itself, and gives up to its length at once.
type endless struct {
	b  []byte
	at int
}

func (s *endless) Read(p []byte) (int, error) {
	n := copy(p, s.b[s.at:])
	s.at = (s.at + n) % len(s.b)
	return n, nil
}

// room lends the same memory again and again.
type room []byte

func (r room) Big() []byte { return r[:0] }

// BenchmarkReader cuts small calls, of which a read brings 32, and large ones.
func BenchmarkReader(b *testing.B) {
	const most = limit + 64<<10
	for _, bb := range []struct {
		name string
		b    []byte
	}{
		{"small", bytes.Repeat(oncrpc.AppendRecord(nil, getattrCall()), 32)},
		{"64 KiB", oncrpc.AppendRecord(nil, make([]byte, 64<<10))},
		{"1 MiB", oncrpc.AppendRecord(nil, make([]byte, limit))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			d := oncrpc.NewReader(&endless{b: bb.b}, make(room, most), most)
			b.ReportAllocs()
			for b.Loop() {
				rec, err := next(d)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(rec)))
			}
		})
	}
}

// BenchmarkDecodeCall is the header of a call, with its credential.
func BenchmarkDecodeCall(b *testing.B) {
	msg := getattrCall()
	var c oncrpc.Call
	b.ReportAllocs()
	for b.Loop() {
		d := xdr.Decoder{B: msg}
		if !oncrpc.DecodeCall(&d, &c) || !c.CredOK {
			b.Fatal("no call")
		}
	}
}

// BenchmarkAppendAccepted is the header of a reply, in its record.
func BenchmarkAppendAccepted(b *testing.B) {
	var e xdr.Encoder
	b.ReportAllocs()
	for b.Loop() {
		e.B = e.B[:0]
		at := oncrpc.BeginRecord(&e)
		oncrpc.AppendAccepted(&e, 1, oncrpc.Success)
		oncrpc.EndRecord(&e, at)
	}
}
