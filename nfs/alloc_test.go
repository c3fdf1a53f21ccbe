package nfs

import (
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
)

var hotCalls = []struct {
	name string
	proc uint32
	args *args
}{
	{"GETATTR", procGetattr, on(fakeFile)},
	{"LOOKUP", procLookup, on(fakeRoot).str("file")},
	{"ACCESS", procAccess, on(fakeFile).u32(0x3f)},
	{"READ", procRead, on(fakeFile).u64(0).u32(64 << 10)},
	{"WRITE", procWrite, on(fakeFile).u64(0).u32(4096, 0).opaque(make([]byte, 4096))},
}

func TestHotCallsDoNotAllocate(t *testing.T) {
	s := newServer(newFakeFS())
	for _, tt := range hotCalls {
		q := newRequest(s, "client")
		msg := nfsCall(1, tt.proc, &owner, tt.args)
		got := testing.AllocsPerRun(100, func() {
			q.e.B = q.e.B[:0]
			if !q.begin(msg) || !q.route() || !q.answer(false) {
				t.Fatal("not answered")
			}
		})
		if got != 0 {
			t.Errorf("%s: got %v allocations", tt.name, got)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	s := newServer(newFakeFS())
	for _, bb := range hotCalls {
		b.Run(bb.name, func(b *testing.B) {
			q := newRequest(s, "client")
			msg := nfsCall(1, bb.proc, &owner, bb.args)
			b.ReportAllocs()
			for b.Loop() {
				q.e.B = q.e.B[:0]
				_ = q.begin(msg) && q.route() && q.answer(false)
			}
		})
	}
}

// BenchmarkGetattrDepth32 is over a socket, with 32 calls in flight.
func BenchmarkGetattrDepth32(b *testing.B) {
	const depth = 32
	c := dial(b, serve(b, newServer(newFakeFS())))
	var batch []byte
	for i := range depth {
		batch = append(batch, record(nfsCall(uint32(i), procGetattr, &owner, on(fakeFile)))...)
	}
	var buf []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%depth == 0 {
			send(b, c, batch)
		}
		var err error
		if buf, err = oncrpc.ReadRecord(c, buf, 1000); err != nil {
			b.Fatal(err)
		}
	}
}
