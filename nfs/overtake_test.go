package nfs

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// keptFS is a fakeFS that keeps the first byte of what is written.
type keptFS struct {
	*fakeFS
	mu   sync.Mutex
	kept byte
	ran  int
}

func (f *keptFS) Write(c overlay.Caller, id overlay.ID, p []byte, off uint64, how overlay.Stability, w *overlay.Change) error {
	if err := f.fakeFS.Write(c, id, p, off, how, w); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = p[0]
	f.ran++
	return nil
}

// want fails the test unless WRITEs ran so often, and the last was of this byte.
func (f *keptFS) want(t *testing.T, kept byte, ran int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kept != kept || f.ran != ran {
		t.Errorf("the file has %q after %d WRITEs, want %q after %d", f.kept, f.ran, kept, ran)
	}
}

// writeOf is an UNSTABLE WRITE of one byte.
func writeOf(xid uint32, b byte) []byte {
	return record(nfsCall(xid, procWrite, &owner, on(fakeFile).u64(0).u32(1, 0).opaque([]byte{b})))
}

// blocking has the WRITE of that number wait for a worker, and then for the gate.
func (f *keptFS) blocking(number int32) *gate {
	g, n := newGate("write"), new(atomic.Int32)
	f.hook = func(op string, c overlay.Caller) error {
		if op == "write" && !c.MayBlock && n.Add(1) != number {
			return nil
		}
		return g.hook(op, c)
	}
	return g
}

// TestWriteThatWaitsIsNotOvertaken: a WRITE that waits for a worker, and is sent again when it need
// not wait any more, does not bring back what a later one has overwritten.
func TestWriteThatWaitsIsNotOvertaken(t *testing.T) {
	f := &keptFS{fakeFS: newFakeFS()}
	g := f.blocking(1)
	defer g.open()
	addr := serve(t, newServer(f))
	one, two := dial(t, addr), dial(t, addr)
	send(t, one, writeOf(1, 'a'))
	testenv.Await(t, "the WRITE is with a worker", func() bool { return g.inside.Load() == 1 })
	send(t, two, writeOf(1, 'a'))
	passed(t, two)
	g.open()
	if got, want := reply(t, two), reply(t, one); !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
	send(t, two, writeOf(2, 'b'))
	reply(t, two)
	f.want(t, 'b', 2)
}

// TestWriteSentAgainIsNotOvertaken: a WRITE that had not to wait, and would have to when it comes
// again, does not run again behind a later one.
func TestWriteSentAgainIsNotOvertaken(t *testing.T) {
	f := &keptFS{fakeFS: newFakeFS()}
	g := f.blocking(2)
	defer g.open()
	c := dial(t, serve(t, newServer(f)))
	send(t, c, append(writeOf(1, 'a'), writeOf(1, 'a')...))
	reply(t, c)
	send(t, c, writeOf(2, 'b'))
	reply(t, c)
	g.open()
	reply(t, c)
	f.want(t, 'b', 2)
}

// TestWriteLeftBehind: a WRITE that lies on a connection that its client has given up does not bring
// back what was overwritten over the next one.
func TestWriteLeftBehind(t *testing.T) {
	f := &keptFS{fakeFS: newFakeFS()}
	stuck, open := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.hook = func(op string, _ overlay.Caller) error {
		if op == "lookup" {
			close(stuck)
			<-open
		}
		return nil
	}
	free := func() { once.Do(func() { close(open) }) }
	defer free()
	addr := serve(t, newServer(f))
	one, two := dial(t, addr), dial(t, addr)
	send(t, one, append(record(nfsCall(7, procLookup, &owner, goodArgs()[procLookup])), writeOf(1, 'a')...))
	<-stuck
	for _, call := range [][]byte{writeOf(1, 'a'), writeOf(2, 'b')} {
		send(t, two, call)
		reply(t, two)
	}
	free()
	reply(t, one)
	reply(t, one)
	f.want(t, 'b', 2)
}
