package nfs

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// hotCall is a call of those that most of the load is made of.
type hotCall struct {
	name string
	msg  []byte
}

// hotCalls serves a directory with a file in it, and gives calls for the two.
func hotCalls(t testing.TB) (*Server, []hotCall) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, 64<<10), 0o644); err != nil {
		t.Fatal(err)
	}
	o, err := overlay.Open(overlay.Options{Upper: dir, Work: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	var file, root overlay.Attr
	if _, err := o.Lookup(overlay.Caller{MayBlock: true}, o.Root(), []byte("file"), &file, &root); err != nil {
		t.Fatal(err)
	}
	call := func(name string, proc uint32, a *args) hotCall {
		return hotCall{name, nfsCall(1, proc, &owner, a)}
	}
	return newServer(o), []hotCall{
		call("GETATTR", procGetattr, on(file.ID)),
		call("LOOKUP", procLookup, on(o.Root()).str("file")),
		call("ACCESS", procAccess, on(file.ID).u32(0x3f)),
		call("READ", procRead, on(file.ID).u64(0).u32(64<<10)),
		call("WRITE", procWrite, on(file.ID).u64(0).u32(4096, 0).opaque(make([]byte, 4096))),
	}
}

// answerAs answers a call on the reading goroutine or, if it has to be, on a worker.
func answerAs(t testing.TB, q *request, msg []byte) {
	q.e.B = q.e.B[:0]
	if !q.begin(msg) || !q.route() || !q.answer(false) && !q.answer(true) {
		t.Fatal("not answered")
	}
}

func TestHotCallsDoNotAllocate(t *testing.T) {
	s, calls := hotCalls(t)
	for _, tt := range calls {
		q := newRequest(s, "client")
		if got := testing.AllocsPerRun(100, func() { answerAs(t, q, tt.msg) }); got != 0 {
			t.Errorf("%s: got %v allocations", tt.name, got)
		}
		if st := status(binary.BigEndian.Uint32(q.e.B[q.at:])); st != statusOK {
			t.Errorf("%s: got %v", tt.name, st)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	s, calls := hotCalls(b)
	for _, bb := range calls {
		b.Run(bb.name, func(b *testing.B) {
			q := newRequest(s, "client")
			b.ReportAllocs()
			for b.Loop() {
				answerAs(b, q, bb.msg)
			}
		})
	}
}

// BenchmarkGetattrDepth32 is over a socket, with 32 calls in flight.
func BenchmarkGetattrDepth32(b *testing.B) {
	const depth = 32
	s, calls := hotCalls(b)
	c := dial(b, serve(b, s))
	batch := bytes.Repeat(record(calls[0].msg), depth)
	buf := make([]byte, depth*(4+24+4+fattrSize))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%depth != 0 {
			continue
		}
		send(b, c, batch)
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
	}
}
