package nfs

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// fragments cuts a message into fragments of what size gives.
func fragments(msg []byte, size func() int) (b []byte) {
	for {
		n := min(size(), len(msg))
		last := byte(0)
		if n == len(msg) {
			last = 0x80
		}
		b = append(b, last, byte(n>>16), byte(n>>8), byte(n))
		b = append(b, msg[:n]...)
		msg = msg[n:]
		if last != 0 {
			return b
		}
	}
}

func TestFragments(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		name string
		size func() int
	}{
		{"whole", func() int { return 1 << 23 }},
		{"bytes", func() int { return 1 }},
		{"sevens", func() int { return 7 }},
		{"some empty", func() int { return random.IntN(1 << random.IntN(17)) }},
		{"large", func() int { return 200_000 }},
	} {
		t.Run(tt.name, func(t *testing.T) { testFragments(t, tt.size) })
	}
}

func testFragments(t *testing.T, size func() int) {
	c := dial(t, serve(t, newServer(newFakeFS())))
	var sent []byte
	var want []uint32
	for i, n := range []int{0, 1, 1000, 70_000, 300_000, maxIO, 5, 300_000, 0} {
		xid := uint32(2 * i)
		write := on(fakeFile).u64(0).u32(uint32(n), 0).opaque(make([]byte, n))
		sent = append(sent, fragments(nfsCall(xid, procWrite, &owner, write), size)...)
		sent = append(sent, fragments(nfsCall(xid+1, procGetattr, &owner, on(fakeFile)), size)...)
		want = append(want, xid, xid+1)
	}
	go func() {
		for len(sent) > 0 {
			n, err := c.Write(sent[:min(len(sent), 100_001)])
			if err != nil {
				return
			}
			sent = sent[n:]
		}
	}()
	for _, xid := range want {
		r, d := next(t, c)
		if r.XID != xid || d.Uint32() != 0 {
			t.Fatalf("got %+v, want success of %d", r, xid)
		}
	}
}

func TestByteByByte(t *testing.T) {
	c := dial(t, serve(t, newServer(newFakeFS())))
	for _, b := range record(nfsCall(3, procGetattr, &owner, on(fakeFile))) {
		send(t, c, []byte{b})
	}
	if r, _ := next(t, c); r.XID != 3 {
		t.Errorf("got %+v", r)
	}
}

func TestBadStreamsAreClosed(t *testing.T) {
	empty := make([]byte, 4*2000)
	for _, tt := range []struct {
		name string
		sent []byte
	}{
		{"long record", []byte{0x80, 0x11, 0x00, 0x01}},
		{"long fragment", []byte{0x7f, 0xff, 0xff, 0xff}},
		{"empty fragments", empty},
		{"empty record", []byte{0x80, 0, 0, 0}},
		{"a reply", record([]byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0})},
		{"half a call", record(nfsCall(1, procNull, &owner, &args{})[:30])},
		{"cut off", record(nfsCall(3, procGetattr, &owner, on(fakeFile)))[:50]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, serve(t, newServer(newFakeFS())))
			send(t, c, tt.sent)
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(c); len(b) != 0 {
				t.Errorf("got % x, %v", b, err)
			}
		})
	}
}

// countingListener counts the writes to its connections.
type countingListener struct {
	net.Listener
	writes atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{c, l}, err
}

type countingConn struct {
	net.Conn
	l *countingListener
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.l.writes.Add(1)
	return c.Conn.Write(p)
}

func TestRepliesAreJoined(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cl := &countingListener{Listener: l}
	serveOn(t, newServer(newFakeFS()), cl)
	c := dial(t, l.Addr().String())
	const n = 500
	var sent []byte
	for i := range n {
		sent = append(sent, record(nfsCall(uint32(i), procGetattr, &owner, on(fakeFile)))...)
	}
	send(t, c, sent)
	for i := range n {
		if r, _ := next(t, c); r.XID != uint32(i) {
			t.Fatalf("got %+v, want %d", r, i)
		}
	}
	if got := cl.writes.Load(); got > 20 {
		t.Errorf("got %d writes for %d replies", got, n)
	}
}

// gate is a hook that holds up the calls of one method until it is opened.
type gate struct {
	op     string
	opened chan struct{}
	once   sync.Once
	inside atomic.Int64
	most   atomic.Int64
}

func newGate(op string) *gate { return &gate{op: op, opened: make(chan struct{})} }

// open lets calls through. A test that fails has to open it too, or the server never ends.
func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }

func (g *gate) hook(op string, c overlay.Caller) error {
	if op != g.op {
		return nil
	}
	if !c.MayBlock {
		return overlay.ErrWouldBlock
	}
	if n := g.inside.Add(1); n > g.most.Load() {
		g.most.Store(n)
	}
	<-g.opened
	g.inside.Add(-1)
	return nil
}

func TestSlowCallsHoldUpNone(t *testing.T) {
	for _, tt := range []struct {
		op   string
		proc uint32
	}{
		{"commit", procCommit},
		{"write", procWrite},
		{"read", procRead},
		{"readdir", procReaddirplus},
		{"create", procCreate},
	} {
		t.Run(tt.op, func(t *testing.T) {
			g, f := newGate(tt.op), newFakeFS()
			defer g.open()
			f.hook = g.hook
			c := dial(t, serve(t, newServer(f)))
			send(t, c, record(nfsCall(1, tt.proc, &owner, goodArgs()[tt.proc])))
			send(t, c, record(nfsCall(2, procGetattr, &owner, on(fakeFile))))
			if r, _ := next(t, c); r.XID != 2 {
				t.Errorf("got %+v first", r)
			}
			g.open()
			if r, d := next(t, c); r.XID != 1 || d.Uint32() != 0 {
				t.Errorf("got %+v second", r)
			}
		})
	}
}

func TestPanicEndsTheCallOnly(t *testing.T) {
	for _, tt := range []struct {
		op   string
		proc uint32
	}{
		{"getattr", procGetattr},
		{"read", procRead},
		{"write", procWrite},
		{"readdir", procReaddir},
		{"rename", procRename},
	} {
		t.Run(tt.op, func(t *testing.T) {
			f := newFakeFS()
			f.hook = func(op string, _ overlay.Caller) error {
				if op == tt.op {
					panic("by intent")
				}
				return nil
			}
			log, entries := test.NewNullLogger()
			c := dial(t, serve(t, New(Options{FS: f, Key: testKey, Owner: 1000, Log: log})))
			send(t, c, record(nfsCall(1, tt.proc, &owner, goodArgs()[tt.proc])))
			if r, d := next(t, c); r.XID != 1 || status(d.Uint32()) != statusServerFault {
				t.Errorf("got %+v", r)
			}
			if e := entries.LastEntry(); e == nil || e.Level != logrus.ErrorLevel || e.Data[fieldStack] == "" {
				t.Errorf("got log %+v", e)
			}
			send(t, c, record(nfsCall(2, procNull, &owner, &args{})))
			if r, _ := next(t, c); r.XID != 2 {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestBackPressure(t *testing.T) {
	g, f := newGate("commit"), newFakeFS()
	defer g.open()
	f.hook = g.hook
	s := New(Options{FS: f, Key: testKey, Owner: 1000, Workers: 4})
	c := dial(t, serve(t, s))
	before := runtime.NumGoroutine()
	const n = 2000
	var sent []byte
	for i := range n {
		sent = append(sent, record(nfsCall(uint32(i), procCommit, &owner, goodArgs()[procCommit]))...)
	}
	send(t, c, sent)
	testenv.Await(t, "workers are busy and calls wait", func() bool {
		// Not more than before: goroutines of earlier tests may have ended since.
		return g.inside.Load() == 4 && runtime.NumGoroutine() >= maxCalls+4
	})
	if got := runtime.NumGoroutine(); got > before+maxCalls+4 {
		t.Errorf("got %d goroutines more", got-before)
	}
	g.open()
	seen := make([]bool, n)
	for range n {
		r, _ := next(t, c)
		seen[r.XID] = true
	}
	if slices.Contains(seen, false) {
		t.Error("a call was not answered")
	}
	if got := g.most.Load(); got != 4 {
		t.Errorf("got %d calls at once, want 4", got)
	}
}

// TestClientThatDoesNotRead asks for much and takes nothing: others must go on.
func TestClientThatDoesNotRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		hook func(string, overlay.Caller) error
	}{
		{"inline", nil},
		{"by workers", func(_ string, c overlay.Caller) error {
			if !c.MayBlock && c.UID != 0 {
				return overlay.ErrWouldBlock
			}
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeFS()
			f.hook = tt.hook
			s := New(Options{FS: f, Key: testKey, Owner: 1000, Workers: 2})
			addr := serve(t, s)
			var lazy []net.Conn
			for range 10 {
				lazy = append(lazy, dial(t, addr))
			}
			for _, c := range lazy {
				for i := range 100 {
					send(t, c, record(nfsCall(uint32(i), procRead, &owner, on(fakeFile).u64(0).u32(maxIO))))
				}
			}
			c := dial(t, addr)
			for i := range 20 {
				send(t, c, record(nfsCall(uint32(i), procRead, &owner, on(fakeFile).u64(0).u32(maxIO))))
				if r, d := next(t, c); r.XID != uint32(i) || d.Uint32() != 0 {
					t.Fatalf("got %+v", r)
				}
			}
			for _, c := range lazy {
				c.Close()
			}
		})
	}
}

func TestShutdownAnswersWhatIsInProgress(t *testing.T) {
	g, f := newGate("commit"), newFakeFS()
	defer g.open()
	f.hook = g.hook
	s := newServer(f)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c := dial(t, l.Addr().String())
	send(t, c, record(nfsCall(1, procCommit, &owner, goodArgs()[procCommit])))
	testenv.Await(t, "the call is in progress", func() bool { return g.inside.Load() == 1 })
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: got %v", err)
	}
	g.open()
	if r, _ := next(t, c); r.XID != 1 {
		t.Errorf("got %+v", r)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the answer: got %v", err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	if err := s.Serve(l); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve after Shutdown: got %v", err)
	}
}

func TestShutdownGivesUp(t *testing.T) {
	g, f := newGate("commit"), newFakeFS()
	defer g.open()
	f.hook = g.hook
	s := newServer(f)
	c := dial(t, serve(t, s))
	send(t, c, record(nfsCall(1, procCommit, &owner, goodArgs()[procCommit])))
	testenv.Await(t, "the call is in progress", func() bool { return g.inside.Load() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
	g.open()
}

// TestManyClients has everything going on at once.
func TestManyClients(t *testing.T) {
	f := newFakeFS()
	var turn atomic.Int64
	f.hook = func(_ string, c overlay.Caller) error {
		if !c.MayBlock && c.UID != 0 && turn.Add(1)%3 == 0 {
			return overlay.ErrWouldBlock
		}
		return nil
	}
	addr := serve(t, newServer(f))
	var wg sync.WaitGroup
	for range 8 {
		c := dial(t, addr)
		wg.Go(func() {
			for i := range 300 {
				_, _ = c.Write(record(nfsCall(uint32(i), uint32(i%22), &owner, goodArgs()[uint32(i%22)])))
			}
		})
		wg.Go(func() {
			for range 300 {
				if _, err := oncrpc.ReadRecord(c, nil, 2<<20); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
