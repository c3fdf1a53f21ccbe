package nfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// onceProcs are the procedures that must not run twice.
var onceProcs = []uint32{
	procSetattr, procCreate, procMkdir, procSymlink, procMknod, procRemove, procRmdir, procRename, procLink,
}

// counted counts the calls that change something.
func counted() (*fakeFS, *atomic.Int32) {
	f, n := newFakeFS(), new(atomic.Int32)
	f.hook = func(op string, _ overlay.Caller) error {
		if op != "getattr" && op != "lookup" {
			n.Add(1)
		}
		return nil
	}
	return f, n
}

// Where clients connect from. Nobody else is on ownHost, who could take a port there
// before it is used again.
const (
	anyHost = "127.0.0.1:0"
	ownHost = "127.0.0.3:0"
)

// reply reads a reply as it is.
func reply(t testing.TB, c net.Conn) []byte {
	t.Helper()
	b, err := oncrpc.ReadRecord(c, nil, 2<<20)
	if err != nil {
		t.Fatal("read a reply:", err)
	}
	return b
}

// dialFrom connects from an address, whose port may be 0.
func dialFrom(t testing.TB, addr, from string) net.Conn {
	t.Helper()
	local, err := net.ResolveTCPAddr("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&net.Dialer{LocalAddr: local, Control: reuseAddr}).Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

func reuseAddr(_, _ string, c syscall.RawConn) (err error) {
	ctlErr := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) })
	if ctlErr != nil {
		return ctlErr
	}
	return err
}

// again connects anew from the same port, with nothing of the old connection left.
func again(t testing.TB, c net.Conn) net.Conn {
	t.Helper()
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	return dialFrom(t, c.RemoteAddr().String(), c.LocalAddr().String())
}

// TestSentAgain: a call that is sent again gets the first reply, and does not run.
func TestSentAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		second func(t testing.TB, first net.Conn) net.Conn
	}{
		{"same connection", func(_ testing.TB, c net.Conn) net.Conn { return c }},
		{"same port", again},
		{"another port", func(t testing.TB, c net.Conn) net.Conn { return dialFrom(t, c.RemoteAddr().String(), ownHost) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, n := counted()
			c := dialFrom(t, serve(t, newServer(f)), ownHost)
			var want [][]byte
			for _, proc := range onceProcs {
				send(t, c, record(nfsCall(proc, proc, &owner, goodArgs()[proc])))
				want = append(want, reply(t, c))
			}
			ran := n.Load()
			c = tt.second(t, c)
			for i, proc := range onceProcs {
				send(t, c, record(nfsCall(proc, proc, &owner, goodArgs()[proc])))
				if got := reply(t, c); !bytes.Equal(got, want[i]) {
					t.Errorf("%s: got % x, want % x", nfsProgram.procs[proc].name, got, want[i])
				}
			}
			if n.Load() != ran {
				t.Errorf("%d calls ran again", n.Load()-ran)
			}
		})
	}
}

// TestTheRestRunsAgain: what may run twice is not remembered.
func TestTheRestRunsAgain(t *testing.T) {
	s := newServer(newFakeFS())
	c := dial(t, serve(t, s))
	for proc, a := range goodArgs() {
		if nfsProgram.procs[proc].settle == nil {
			send(t, c, record(nfsCall(proc, proc, &owner, a)))
			reply(t, c)
		}
	}
	if n := s.replies.turn.Load(); n != 0 {
		t.Errorf("got %d, want nothing remembered", n)
	}
}

// TestNotTheSameCall: calls that differ in anything both run, whoever sends them.
func TestNotTheSameCall(t *testing.T) {
	named := owner
	named.Named = true
	grouped := owner
	grouped.SetGroups(4)
	mkdir := func(name string) *args { return on(fakeRoot).str(name).sattr() }
	for _, tt := range []struct {
		name, from string
		msg        []byte
	}{
		{"XID", anyHost, nfsCall(2, procMkdir, &owner, mkdir("a"))},
		{"arguments", anyHost, nfsCall(1, procMkdir, &owner, mkdir("b"))},
		{"more arguments", anyHost, nfsCall(1, procMkdir, &owner, mkdir("a").u32(0))},
		{"procedure", anyHost, nfsCall(1, procCreate, &owner, mkdir("a"))},
		{"uid", anyHost, nfsCall(1, procMkdir, &root, mkdir("a"))},
		{"groups", anyHost, nfsCall(1, procMkdir, &grouped, mkdir("a"))},
		{"machine's name", anyHost, nfsCall(1, procMkdir, &named, mkdir("a"))},
		{"address", "127.0.0.2:0", nfsCall(1, procMkdir, &owner, mkdir("a"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(newFakeFS())
			addr := serve(t, s)
			c := dialFrom(t, addr, anyHost)
			send(t, c, record(nfsCall(1, procMkdir, &owner, mkdir("a"))))
			reply(t, c)
			c = dialFrom(t, addr, tt.from)
			send(t, c, record(tt.msg))
			reply(t, c)
			if got := s.replies.turn.Load(); got != 4 {
				t.Errorf("got %d beginnings and ends, want those of two calls", got)
			}
		})
	}
}

// TestStrangersAreNotRemembered: what others ask in vain takes no room.
func TestStrangersAreNotRemembered(t *testing.T) {
	s := newServer(newFakeFS())
	c := dial(t, serve(t, s))
	for range 2 {
		send(t, c, record(nfsCall(1, procMkdir, &other, goodArgs()[procMkdir])))
		if _, d := next(t, c); status(d.Uint32()) != statusAcces {
			t.Error("not refused")
		}
	}
	if n := s.replies.turn.Load(); n != 0 {
		t.Errorf("got %d, want nothing remembered", n)
	}
}

// blocked makes MKDIR wait until open is closed or the test ends, on a worker.
func blocked(t *testing.T, f *fakeFS) (waiting, open chan struct{}) {
	waiting, open = make(chan struct{}, 100), make(chan struct{})
	before := f.hook
	f.hook = func(op string, c overlay.Caller) error {
		if op != "mkdir" {
			return before(op, c)
		}
		if !c.MayBlock {
			return overlay.ErrWouldBlock
		}
		waiting <- struct{}{}
		select {
		case <-open:
		case <-t.Context().Done():
		}
		return before(op, c)
	}
	return waiting, open
}

// passed has a call answered that was sent behind others: so they were read.
func passed(t testing.TB, c net.Conn) {
	t.Helper()
	send(t, c, record(nfsCall(99, procGetattr, &owner, on(fakeFile))))
	if r, _ := next(t, c); r.XID != 99 {
		t.Errorf("got the reply to %d, want that to GETATTR", r.XID)
	}
}

// TestSentAgainWhileItRuns: the call runs once, and each connection gets one reply.
func TestSentAgainWhileItRuns(t *testing.T) {
	f, n := counted()
	waiting, open := blocked(t, f)
	addr := serve(t, newServer(f))
	msg := record(nfsCall(1, procMkdir, &owner, goodArgs()[procMkdir]))
	conns := []net.Conn{dial(t, addr), dial(t, addr), dial(t, addr)}
	send(t, conns[0], msg)
	<-waiting
	for _, c := range conns {
		for range 3 {
			send(t, c, msg)
			passed(t, c)
		}
	}
	conns[2].Close() // its reply has nowhere to go
	close(open)
	want := reply(t, conns[0])
	if got := reply(t, conns[1]); !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
	passed(t, conns[0]) // there is no second reply
	passed(t, conns[1])
	if n.Load() != 1 {
		t.Errorf("ran %d times", n.Load())
	}
}

// TestSentAgainAfterTheConnection: a call runs on though its connection is gone, and
// another one gets the reply.
func TestSentAgainAfterTheConnection(t *testing.T) {
	f, n := counted()
	waiting, open := blocked(t, f)
	first := dialFrom(t, serve(t, newServer(f)), ownHost)
	msg := record(nfsCall(1, procMkdir, &owner, goodArgs()[procMkdir]))
	send(t, first, msg)
	<-waiting
	second := again(t, first)
	send(t, second, msg)
	passed(t, second)
	close(open)
	if r, d := next(t, second); r.XID != 1 || d.Uint32() != 0 || n.Load() != 1 {
		t.Errorf("got %+v, ran %d times", r, n.Load())
	}
}

// TestManyCallsEvict: memory is for so many calls, of which the first is forgotten first,
// but for one that runs.
func TestManyCallsEvict(t *testing.T) {
	const calls = 10_000
	f, n := counted()
	waiting, open := blocked(t, f)
	s := newServer(f)
	addr := serve(t, s)
	slow, c := dial(t, addr), dial(t, addr)
	mkdir := record(nfsCall(1, procMkdir, &owner, goodArgs()[procMkdir]))
	send(t, slow, mkdir)
	<-waiting
	remove := func(xid uint32) []byte {
		return record(nfsCall(xid, procRemove, &owner, on(fakeRoot).str(fmt.Sprint("f", xid))))
	}
	go func() {
		for i := range uint32(calls) {
			_, _ = c.Write(remove(i)) // the replies tell
		}
	}()
	for range calls {
		reply(t, c)
	}
	send(t, c, append(remove(calls-1), remove(0)...))
	reply(t, c)
	reply(t, c)
	if n.Load() != calls+1 {
		t.Errorf("%d calls ran, want %d and the first again", n.Load(), calls)
	}
	send(t, c, mkdir)
	passed(t, c)
	close(open)
	if got, want := reply(t, c), reply(t, slow); !bytes.Equal(got, want) || n.Load() != calls+2 {
		t.Errorf("got % x, want % x; %d calls ran", got, want, n.Load())
	}
}

// TestJukeboxIsNotKept: a client that is told to ask again gets another answer.
func TestJukeboxIsNotKept(t *testing.T) {
	f := newFakeFS()
	errs := []error{syscall.EAGAIN, nil}
	f.hook = func(string, overlay.Caller) error {
		err := errs[0]
		errs = errs[1:]
		return err
	}
	c := dial(t, serve(t, newServer(f)))
	for _, want := range []status{statusJukebox, statusOK} {
		send(t, c, record(nfsCall(1, procRemove, &owner, goodArgs()[procRemove])))
		if _, d := next(t, c); status(d.Uint32()) != want {
			t.Errorf("got another status than %v", want)
		}
	}
}

// TestWriteSentAgain: a WRITE runs once, whether a worker does it or not.
func TestWriteSentAgain(t *testing.T) {
	for _, stable := range []uint32{0, 2} {
		f, n := counted()
		c := dial(t, serve(t, newServer(f)))
		msg := record(nfsCall(1, procWrite, &owner, on(fakeFile).u64(5).u32(1000, stable).opaque(make([]byte, 1000))))
		send(t, c, msg)
		want := reply(t, c)
		send(t, c, msg)
		if got := reply(t, c); !bytes.Equal(got, want) || n.Load() != 1 {
			t.Errorf("stable %d: got % x, want % x; ran %d times, want once", stable, got, want, n.Load())
		}
		send(t, c, record(nfsCall(1, procWrite, &owner, on(fakeFile).u64(6).u32(1000, stable).opaque(make([]byte, 1000)))))
		if reply(t, c); n.Load() != 2 {
			t.Errorf("stable %d: another WRITE did not run", stable)
		}
	}
}

// newTestConn gives a conn that nobody reads.
func newTestConn(t testing.TB, s *Server) *conn {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return newConn(newPeer(s, ours), ours, nil)
}

// inlineAs answers a call on the reading goroutine, and gives the reply.
func inlineAs(t testing.TB, c *conn, msg []byte) []byte {
	c.q.e.B = c.q.e.B[:0]
	if done, err := c.inline(msg); !done || err != nil {
		t.Fatal(done, err)
	}
	return c.q.e.B
}

// TestSetClockForgetsNothing: whoever sets the machine's clock does not make calls old.
func TestSetClockForgetsNothing(t *testing.T) {
	f, n := counted()
	dir := t.TempDir()
	options := Options{FS: f, Key: testKey, Owner: 1000}
	msg := nfsCall(1, procRemove, &owner, goodArgs()[procRemove])
	for _, step := range []time.Duration{0, 2 * replyAge, -2 * replyAge} {
		options.Replies = openReplies(t, dir, testKey)
		c := newTestConn(t, New(options))
		c.date = c.when() + int64(step)
		if inlineAs(t, c, msg); n.Load() != 1 {
			t.Errorf("clock set by %v: ran %d times, want once", step, n.Load())
		}
	}
}

// TestOldCallsAreForgottenByTheNext: a call's age counts in the next server too.
func TestOldCallsAreForgottenByTheNext(t *testing.T) {
	for _, tt := range []struct {
		age  time.Duration
		want int32
	}{{replyAge - time.Hour, 1}, {replyAge, 2}} {
		f, n := counted()
		dir := t.TempDir()
		for _, age := range []time.Duration{0, tt.age} {
			c := newTestConn(t, New(Options{FS: f, Key: testKey, Owner: 1000, Replies: openReplies(t, dir, testKey)}))
			c.heard.Add(int64(age))
			inlineAs(t, c, nfsCall(1, procRemove, &owner, goodArgs()[procRemove]))
		}
		if n.Load() != tt.want {
			t.Errorf("after %v: ran %d times, want %d", tt.age, n.Load(), tt.want)
		}
	}
}

func TestOldCallsAreForgotten(t *testing.T) {
	f, n := counted()
	c := newTestConn(t, newServer(f))
	msg := nfsCall(1, procRemove, &owner, goodArgs()[procRemove])
	inlineAs(t, c, msg)
	for _, tt := range []struct {
		age  int64
		want int32
	}{{int64(replyAge) - 1, 1}, {1, 2}, {1, 2}} {
		c.heard.Add(tt.age)
		if inlineAs(t, c, msg); n.Load() != tt.want {
			t.Errorf("ran %d times, want %d", n.Load(), tt.want)
		}
	}
}

// TestAllOfASetRun: a call for which there is no room runs, and is not remembered.
func TestAllOfASetRun(t *testing.T) {
	s := newServer(newFakeFS())
	c := newTestConn(t, s)
	var ran []*entry
	for i := range uint64(replyWays) {
		e, v, _ := s.replies.begin(&identity{whole: i * replySets}, c, nil)
		if e == nil || v != fresh {
			t.Fatalf("call %d: got %v", i, v)
		}
		ran = append(ran, e)
	}
	if e, v, _ := s.replies.begin(&identity{whole: replyWays * replySets}, c, nil); e != nil || v != fresh {
		t.Errorf("got %v, %v", e, v)
	}
	for _, e := range ran {
		s.replies.finish(e, nil)
	}
	if e, _, _ := s.replies.begin(&identity{whole: replyWays * replySets}, c, nil); e != ran[0] {
		t.Error("did not get the place of the first")
	}
}

// countUp changes a call's XID, which makes it another call.
func countUp(msg []byte) { binary.BigEndian.PutUint32(msg, binary.BigEndian.Uint32(msg)+1) }

func TestRememberingDoesNotAllocate(t *testing.T) {
	r, err := OpenReplies(t.TempDir(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	c := newTestConn(t, New(Options{FS: newFakeFS(), Key: testKey, Owner: 1000, Replies: r}))
	for _, proc := range append(onceProcs, procWrite) {
		msg := nfsCall(1, proc, &owner, goodArgs()[proc])
		inlineAs(t, c, msg)
		got := testing.AllocsPerRun(100, func() {
			countUp(msg)
			inlineAs(t, c, msg)
		})
		if got != 0 {
			t.Errorf("%s: got %v allocations", nfsProgram.procs[proc].name, got)
		}
	}
}

// TestRepliesFit: every reply to a call that must not run twice can be kept.
func TestRepliesFit(t *testing.T) {
	c := newTestConn(t, newServer(newFakeFS()))
	for _, proc := range append(onceProcs, procWrite) {
		if n := len(inlineAs(t, c, nfsCall(1, proc, &owner, goodArgs()[proc]))); n > maxReply {
			t.Errorf("%s: got %d bytes, more than %d", nfsProgram.procs[proc].name, n, maxReply)
		}
	}
}

// BenchmarkCreate is a CREATE by a file system that does nothing: what it takes to
// remember the call, and to keep it for the next server.
func BenchmarkCreate(b *testing.B) {
	bench := func(name string, once bool, r *Replies) {
		b.Run(name, func(b *testing.B) {
			c := newTestConn(b, New(Options{FS: newFakeFS(), Key: testKey, Owner: 1000, Replies: r}))
			msg := nfsCall(1, procCreate, &owner, on(fakeRoot).str("a-name-of-some-length").u32(0).sattr())
			b.ReportAllocs()
			for b.Loop() {
				if countUp(msg); once {
					inlineAs(b, c, msg)
				} else {
					answerAs(b, c.q, msg)
				}
			}
		})
	}
	kept, err := OpenReplies(b.TempDir(), testKey)
	if err != nil {
		b.Fatal(err)
	}
	bench("forgotten", false, nil)
	bench("remembered", true, nil)
	bench("kept", true, kept)
}
