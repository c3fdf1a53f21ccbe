package nfs

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestCallAlone: a call that may block is answered by the goroutine that reads, and one that
// arrives meanwhile is answered beside it.
func TestCallAlone(t *testing.T) {
	g, f := newGate("commit"), newFakeFS()
	defer g.open()
	f.hook = g.hook
	nc, client := testenv.Connection(t, "127.0.0.1:0", "")
	c := newConn(newPeer(newServer(f), nc), nc, nil)
	c.relay.eager = 0
	ended := make(chan error)
	go func() { ended <- c.run() }()
	away := func() bool {
		c.relay.mu.Lock()
		defer c.relay.mu.Unlock()
		return c.relay.away
	}

	send(t, client, record(nfsCall(1, procCommit, &owner, goodArgs()[procCommit])))
	testenv.Await(t, "the COMMIT is under way", func() bool { return g.inside.Load() == 1 })
	if !away() {
		t.Error("another goroutine reads, and no call arrived")
	}
	send(t, client, record(nfsCall(2, procGetattr, &owner, on(fakeFile))))
	if r, _ := next(t, client); r.XID != 2 {
		t.Errorf("got %+v, want the reply to the call that arrived meanwhile", r)
	}
	if away() {
		t.Error("nobody else reads, though a call arrived")
	}
	g.open()
	if r, _ := next(t, client); r.XID != 1 {
		t.Errorf("got %+v, want the COMMIT's reply", r)
	}
	client.Close()
	if err := <-ended; err != io.EOF {
		t.Error(err)
	}
}

// TestSlowCallBehindStuckReply: a call does not wait until replies before it have been taken;
// else it would not be answered either when it is sent again over another connection.
func TestSlowCallBehindStuckReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeFS()
		f.hook = func(op string, c overlay.Caller) error {
			if op == "remove" && !c.MayBlock {
				return overlay.ErrWouldBlock
			}
			return nil
		}
		s := newServer(f)
		one, oneLasted := onPipe(s)
		two, twoLasted := onPipe(s)
		start := time.Now()
		remove := record(nfsCall(2, procRemove, &owner, goodArgs()[procRemove]))
		send(t, one, append(record(nfsCall(1, procGetattr, &owner, on(fakeFile))), remove...))
		synctest.Wait()
		go func() { _, _ = two.Write(remove) }()
		next(t, two)
		if d := time.Since(start); d > time.Second {
			t.Errorf("the call that was sent again is answered after %v", d)
		}
		one.Close()
		two.Close()
		oneLasted()
		twoLasted()
	})
}

// TestReadsOnBehindLongReply: while a long reply is being sent its client may ask on.
func TestReadsOnBehindLongReply(t *testing.T) {
	f := newFakeFS()
	var committed atomic.Bool
	f.hook = func(op string, c overlay.Caller) error {
		if op == "read" && !c.MayBlock {
			return overlay.ErrWouldBlock
		}
		if op == "commit" {
			committed.Store(true)
		}
		return nil
	}
	nc, client := testenv.Connection(t, "127.0.0.1:0", "")
	for _, err := range []error{nc.(*net.TCPConn).SetWriteBuffer(8 << 10), client.(*net.TCPConn).SetReadBuffer(8 << 10)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c := newConn(newPeer(newServer(f), nc), nc, nil)
	c.relay.eager = 0
	ended := make(chan error)
	go func() { ended <- c.run() }()

	send(t, client, record(nfsCall(1, procRead, &owner, on(fakeFile).u64(0).u32(maxIO))))
	if _, err := client.Read(make([]byte, 4)); err != nil { // it is being sent
		t.Fatal(err)
	}
	send(t, client, record(nfsCall(2, procCommit, &owner, goodArgs()[procCommit])))
	testenv.Await(t, "a call behind a reply that is being sent is answered", committed.Load)
	client.Close()
	<-ended
}

// TestIdleAfterSlowCall: a connection is not idle as soon as a long call has been answered.
func TestIdleAfterSlowCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeFS()
		f.hook = func(op string, _ overlay.Caller) error {
			if op == "commit" {
				time.Sleep(10 * idle)
			}
			return nil
		}
		ours, client := net.Pipe()
		defer ours.Close()
		defer client.Close()
		c := newConn(newPeer(newServer(f), ours), ours, nil)
		c.relay.notifier, c.relay.eager = new(fakeNotifier), 0
		ended := make(chan error)
		go func() { ended <- c.run() }()

		send(t, client, record(nfsCall(1, procCommit, &owner, goodArgs()[procCommit])))
		next(t, client)
		answered := time.Now()
		if err := <-ended; err != errIdle || time.Since(answered) < idle {
			t.Errorf("%v after %v, want %v, after %v at least", err, time.Since(answered), errIdle, idle)
		}
	})
}
