package nfs

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// patternFS fails a WRITE of anything but pattern.
type patternFS struct{ *fakeFS }

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

func (f patternFS) Write(c overlay.Caller, id overlay.ID, p []byte, off uint64, how overlay.Stability, w *overlay.Change) error {
	for i := range p {
		if p[i] != byte(i%251) {
			return errors.New("other data than was sent")
		}
	}
	return f.fakeFS.Write(c, id, p, off, how, w)
}

// succession hands connections from server to server.
type succession struct {
	t    *testing.T
	fs   FS
	now  *Server
	left int // bytes of calls that went along
}

func newSuccession(t *testing.T, f FS) *succession {
	s := &succession{t: t, fs: f, now: newServer(f)}
	t.Cleanup(func() {
		if err := s.now.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// send sends some of what calls are made of, and returns when the server has begun to read it.
func (s *succession) send(c net.Conn, b []byte) {
	before := s.now.clock()
	send(s.t, c, b)
	testenv.Await(s.t, "the server reads", func() bool { return s.now.peers.heardSince(before) })
}

// heardSince reports whether a connection was read after a moment of Server.clock.
func (s *peers) heardSince(at time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.all {
		if time.Duration(p.heard.Load()) > at {
			return true
		}
	}
	return false
}

func (s *succession) next() {
	h, err := s.now.Halt(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.now = newServer(s.fs)
	for _, c := range h.Detach() {
		s.left += len(c.Unread)
		s.now.Adopt(c)
	}
}

// Calls are cut between servers wherever that comes about, and each is answered once.
func TestCallsGoOnWithTheNextServer(t *testing.T) {
	for _, tt := range []struct{ fragment, step int }{{1 << 20, 100_001}, {1 << 20, 7_001}, {700, 40_009}, {5, 999}, {300_000, 65_536}} {
		s := newSuccession(t, patternFS{newFakeFS()})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error)
		go func(first *Server) { served <- first.Serve(l) }(s.now)
		c := dial(t, l.Addr().String())
		var sent []byte
		const calls = 30
		for xid := range uint32(calls) {
			n := []int{0, 1000, 70_000, 300_000, 500_000}[xid%5]
			write := on(fakeFile).u64(0).u32(uint32(n), 0).opaque(pattern(n))
			sent = append(sent, fragments(nfsCall(xid, procWrite, &owner, write), func() int { return tt.fragment })...)
		}
		answered := make(chan int)
		go func() {
			defer close(answered)
			for xid := range uint32(calls) {
				if r, d := next(t, c); r.XID != xid || d.Uint32() != 0 {
					t.Errorf("fragments of %d: got %+v, want success of %d", tt.fragment, r, xid)
				}
			}
		}()
		for i := 0; len(sent) > 0; i++ {
			n := min(len(sent), tt.step)
			if i%50 == 3 || tt.step > 10_000 {
				s.send(c, sent[:n])
				s.next()
			} else {
				send(t, c, sent[:n])
			}
			sent = sent[n:]
		}
		<-answered
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Error(err)
		}
		if s.left == 0 {
			t.Errorf("fragments of %d: never was a call cut", tt.fragment)
		}
		c.Close()
	}
}

// What takes long makes nobody wait for a halt, which goes on as soon as that is over.
func TestHaltWaitsWhileOthersAreServed(t *testing.T) {
	f, release := newFakeFS(), make(chan struct{})
	began := make(chan struct{})
	f.hook = func(op string, c overlay.Caller) error {
		if op == "commit" {
			close(began)
			<-release
		}
		return nil
	}
	s := newSuccession(t, f)
	addr := serveFor(t, s.now)
	c := dial(t, addr)
	send(t, c, record(nfsCall(1, procCommit, &owner, on(fakeFile).u64(0).u32(0))))
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), haltTime/2)
	defer cancel()
	if _, err := s.now.Halt(ctx); !errors.Is(err, errUnderWay) {
		t.Fatalf("halted in the middle of a call: %v", err)
	}
	halted := make(chan struct{})
	go func() {
		s.next()
		close(halted)
	}()
	for xid := uint32(2); xid < 1000; xid++ {
		send(t, c, record(nfsCall(xid, procGetattr, &owner, on(fakeFile))))
		if r, _ := next(t, c); r.XID != xid {
			t.Fatalf("got the reply to %d, want %d", r.XID, xid)
		}
	}
	send(t, dial(t, addr), record(nfsCall(1, procNull, &owner, &args{}))) // others are let in
	close(release)
	if r, _ := next(t, c); r.XID != 1 {
		t.Errorf("got the reply to %d", r.XID)
	}
	<-halted
	send(t, c, record(nfsCall(7, procGetattr, &owner, on(fakeFile))))
	if r, _ := next(t, c); r.XID != 7 {
		t.Errorf("got the reply to %d of the next server", r.XID)
	}
}

// serveFor serves until the server is closed or detached.
func serveFor(t *testing.T, s *Server) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// A connection that says nothing, more than may be busy at once, and ones that come and go
// while the server halts and goes on.
func TestHaltAmongMany(t *testing.T) {
	s := newServer(newFakeFS())
	addr := serve(t, s)
	ask := func(c net.Conn) {
		send(t, c, record(nfsCall(9, procGetattr, &owner, on(fakeFile))))
		if r, _ := next(t, c); r.XID != 9 {
			t.Errorf("got the reply to %d", r.XID)
		}
	}
	var idle []net.Conn
	for range 4 * maxBusy {
		idle = append(idle, dial(t, addr))
	}
	ask(idle[len(idle)-1])
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.SetDeadline(time.Now().Add(time.Minute))
			ask(c)
			c.Close()
		}
	}()
	for range 50 {
		h, err := s.Halt(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h.Resume()
	}
	close(stop)
	<-done
	for _, c := range idle {
		ask(c)
	}
}

// Who shuts down, or halts already, is not halted.
func TestNoHalt(t *testing.T) {
	s := newServer(newFakeFS())
	h, err := s.Halt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Halt(t.Context()); err == nil {
		t.Error("halted twice")
	}
	h.Resume()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Halt(t.Context()); err == nil {
		t.Error("halted after its end")
	}
}
