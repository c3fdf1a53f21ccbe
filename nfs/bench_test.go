package nfs

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// The stages of a call's way, one by one; BenchmarkAnswer has all of them that are between
// the sockets, and BenchmarkCreate what remembering takes.

// BenchmarkHeader is what comes before the arguments, and finding the procedure.
func BenchmarkHeader(b *testing.B) {
	q := newRequest(newServer(newFakeFS()), "client")
	msg := nfsCall(1, procGetattr, &owner, on(fakeFile))
	b.ReportAllocs()
	for b.Loop() {
		if !q.begin(msg) || !q.route() {
			b.Fatal("no call")
		}
	}
}

// BenchmarkArguments decodes those of each procedure.
func BenchmarkArguments(b *testing.B) {
	q := newRequest(newServer(newFakeFS()), "client")
	for num, args := range goodArgs() {
		b.Run(nfsProgram.procs[num].name, func(b *testing.B) {
			msg := nfsCall(1, num, &owner, args)
			if !q.begin(msg) || !q.route() {
				b.Fatal("no call")
			}
			b.ReportAllocs()
			for b.Loop() {
				q.d.Off = q.args
				q.proc.decode(q)
			}
		})
	}
}

// BenchmarkHandle makes handles and checks them.
func BenchmarkHandle(b *testing.B) {
	h := newHandles(testKey)
	var e xdr.Encoder
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.B = e.B[:0]
			h.append(&e, fakeFile)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := h.parse(e.B[4:]); !ok {
				b.Fatal("refused")
			}
		}
	})
}

// BenchmarkFattr puts attributes into a reply.
func BenchmarkFattr(b *testing.B) {
	q := newRequest(newServer(newFakeFS()), "client")
	var a overlay.Attr
	if err := newFakeFS().fill(fakeFile, &a); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		q.e.B = q.e.B[:0]
		q.postOp(true, &a)
	}
}

// BenchmarkListing is a page of 100 entries of a file system that has them ready.
func BenchmarkListing(b *testing.B) {
	q := newRequest(newServer(newFakeFS()), "client")
	msg := nfsCall(1, procReaddirplus, &owner, on(fakeRoot).u64(0).u64(0).u32(maxList, maxList))
	b.ReportAllocs()
	for b.Loop() {
		answerAs(b, q, msg)
	}
	if st := status(binary.BigEndian.Uint32(q.e.B[q.at:])); st != statusOK {
		b.Fatal(st)
	}
}

// BenchmarkSender writes batches to a socket: of a reply like a GETATTR's, of 32, and of 1 MiB.
func BenchmarkSender(b *testing.B) {
	for _, bb := range []struct {
		name string
		size int
	}{{"1 reply", 116}, {"32 replies", 32 * 116}, {"1 MiB", 1 << 20}} {
		b.Run(bb.name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			reader := dial(b, l.Addr().String())
			go func() { _, _ = io.Copy(io.Discard, reader) }() // until the test closes it
			nc, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			s, p := newSender(nc, time.Now(), new(meter), func([]byte) {}), make([]byte, bb.size)
			b.SetBytes(int64(bb.size))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.write(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
