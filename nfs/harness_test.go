package nfs

import (
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// Numbers of procedures, for tests.
const (
	procNull        = 0
	procGetattr     = 1
	procSetattr     = 2
	procLookup      = 3
	procAccess      = 4
	procReadlink    = 5
	procRead        = 6
	procWrite       = 7
	procCreate      = 8
	procMkdir       = 9
	procSymlink     = 10
	procMknod       = 11
	procRemove      = 12
	procRmdir       = 13
	procRename      = 14
	procLink        = 15
	procReaddir     = 16
	procReaddirplus = 17
	procFsstat      = 18
	procFsinfo      = 19
	procPathconf    = 20
	procCommit      = 21
)

var (
	testKey = Key{1, 2, 3, 4, 5, 6, 7, 8}
	owner   = oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: 1000, GID: 100}
	root    = oncrpc.Cred{Flavor: oncrpc.AuthSys}
	other   = oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: 1001, GID: 100}
	nobody  = oncrpc.Cred{Flavor: oncrpc.AuthNone}
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newServer(f FS) *Server {
	return New(Options{FS: f, Key: testKey, Export: "/nix", Owner: 1000})
}

// serve serves on a free port until the test ends, and gives the address.
func serve(t testing.TB, s *Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, l)
	return l.Addr().String()
}

func serveOn(t testing.TB, s *Server, l net.Listener) {
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Error("Serve:", err)
		}
		s.peers.running.Wait()
	})
}

func dial(t testing.TB, addr string) net.Conn {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// args are a call's arguments.
type args struct{ xdr.Encoder }

func (a *args) handle(id overlay.ID) *args {
	newHandles(testKey).append(&a.Encoder, id)
	return a
}

func (a *args) u32(v ...uint32) *args {
	for _, v := range v {
		a.Uint32(v)
	}
	return a
}

func (a *args) u64(v uint64) *args    { a.Uint64(v); return a }
func (a *args) str(s string) *args    { a.String(s); return a }
func (a *args) opaque(b []byte) *args { a.Opaque(b); return a }

// sattr appends a sattr3 that changes everything.
func (a *args) sattr() *args {
	a.u32(1, 0o644, 1, 1000, 1, 100, 1).u64(5)
	return a.u32(1, 2, 10, 20)
}

func on(id overlay.ID) *args { return new(args).handle(id) }

// nfsCall is the message of an NFS call.
func nfsCall(xid, proc uint32, cred *oncrpc.Cred, a *args) []byte {
	var e xdr.Encoder
	oncrpc.AppendCall(&e, xid, progNFS, 3, proc, cred)
	return append(e.B, a.B...)
}

// record is a message as one record.
func record(msg []byte) []byte { return oncrpc.AppendRecord(nil, msg) }

// ask gives the server's reply to a message without a connection.
func ask(t testing.TB, s *Server, msg []byte) (oncrpc.Reply, *xdr.Decoder) {
	q := newRequest(s, "client")
	if !q.begin(msg) {
		t.Fatal("not a call")
	}
	if q.route() && !q.answer(true) {
		t.Fatal("not answered")
	}
	return parse(t, q.e.B[oncrpc.MarkSize:])
}

func parse(t testing.TB, msg []byte) (oncrpc.Reply, *xdr.Decoder) {
	d := &xdr.Decoder{B: msg}
	r, err := oncrpc.DecodeReply(d)
	if err != nil {
		t.Fatalf("reply % x: %v", msg, err)
	}
	return r, d
}

// next reads a reply.
func next(t testing.TB, c net.Conn) (oncrpc.Reply, *xdr.Decoder) {
	msg, err := oncrpc.ReadRecord(c, nil, 2<<20)
	if err != nil {
		t.Fatal("read a reply:", err)
	}
	return parse(t, msg)
}

func send(t testing.TB, c net.Conn, b []byte) {
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// goodArgs are valid arguments of every procedure.
func goodArgs() map[uint32]*args {
	return map[uint32]*args{
		procNull:        {},
		procGetattr:     on(fakeFile),
		procSetattr:     on(fakeFile).sattr().u32(1, 5, 6),
		procLookup:      on(fakeRoot).str("file"),
		procAccess:      on(fakeFile).u32(0x3f),
		procReadlink:    on(fakeFile),
		procRead:        on(fakeFile).u64(5).u32(100),
		procWrite:       on(fakeFile).u64(5).u32(3, 0).opaque([]byte("abc")),
		procCreate:      on(fakeRoot).str("new").u32(0).sattr(),
		procMkdir:       on(fakeRoot).str("new").sattr(),
		procSymlink:     on(fakeRoot).str("new").sattr().str("target"),
		procMknod:       on(fakeRoot).str("new").u32(typeChr).sattr().u32(1, 3),
		procRemove:      on(fakeRoot).str("file"),
		procRmdir:       on(fakeRoot).str("file"),
		procRename:      on(fakeRoot).str("file").handle(fakeRoot).str("new"),
		procLink:        on(fakeFile).handle(fakeRoot).str("new"),
		procReaddir:     on(fakeRoot).u64(0).u64(0).u32(4096),
		procReaddirplus: on(fakeRoot).u64(0).u64(0).u32(4096, 8192),
		procFsstat:      on(fakeRoot),
		procFsinfo:      on(fakeRoot),
		procPathconf:    on(fakeRoot),
		procCommit:      on(fakeFile).u64(0).u32(0),
	}
}

func encoderOf(b []byte) xdr.Encoder { return xdr.Encoder{B: b} }
