package nfsclient_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// dial connects a client to a server that play is.
func dial(t *testing.T, o nfsclient.Options, play func(t *testing.T, nc net.Conn)) *nfsclient.Client {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		play(t, nc)
	}()
	c, err := nfsclient.Dial(t.Context(), ln.Addr().String(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		ln.Close()
		<-ended
	})
	return c
}

// take reads one call and gives its header.
func take(t *testing.T, nc net.Conn) (call oncrpc.Call) {
	rec, err := oncrpc.ReadRecord(nc, nil, 1<<20)
	if err != nil {
		t.Errorf("server reads: %v", err)
		return call
	}
	if !oncrpc.DecodeCall(&xdr.Decoder{B: rec}, &call) {
		t.Errorf("not a call: %x", rec)
	}
	return call
}

// reply sends results as one record.
func reply(t *testing.T, nc net.Conn, xid uint32, stat oncrpc.AcceptStat, results ...uint32) {
	var e xdr.Encoder
	at := oncrpc.BeginRecord(&e)
	oncrpc.AppendAccepted(&e, xid, stat)
	for _, v := range results {
		e.Uint32(v)
	}
	oncrpc.EndRecord(&e, at)
	if _, err := nc.Write(e.B); err != nil {
		t.Errorf("server writes: %v", err)
	}
}

// drain reads until the client ends the connection.
func drain(nc net.Conn) { io.Copy(io.Discard, nc) }

func TestRepliesOutOfOrder(t *testing.T) {
	const calls = 5
	c := dial(t, nfsclient.Options{}, func(t *testing.T, nc net.Conn) {
		var xids []uint32
		for range calls {
			xids = append(xids, take(t, nc).XID)
		}
		for _, xid := range slices.Backward(xids) {
			reply(t, nc, xid, oncrpc.Success, uint32(nfsclient.ErrStale))
		}
		drain(nc)
	})
	var ps []*nfsclient.Pending
	for range calls {
		ps = append(ps, c.Queue(&nfsclient.HandleArgs{P: nfsclient.NFSProc(nfsclient.ProcGetattr), FH: "h"}))
	}
	c.Flush()
	for i, p := range ps {
		if err := p.Into(t.Context(), &nfsclient.GetattrRes{}); err != nfsclient.ErrStale {
			t.Errorf("call %d: got %v, want ErrStale", i, err)
		}
		if got, want := p.Order(), calls-1-i; got != want {
			t.Errorf("call %d was answered as number %d, want %d", i, got, want)
		}
	}
}

func TestRPCErrors(t *testing.T) {
	tt := []struct {
		name  string
		reply func(e *xdr.Encoder, xid uint32)
		want  string
	}{
		{"prog unavail", func(e *xdr.Encoder, xid uint32) { oncrpc.AppendAccepted(e, xid, oncrpc.ProgUnavail) }, "rpc: NULL: program unavailable"},
		{"prog mismatch", func(e *xdr.Encoder, xid uint32) {
			oncrpc.AppendAccepted(e, xid, oncrpc.ProgMismatch)
			e.Uint32(3)
			e.Uint32(4)
		}, "rpc: NULL: program versions 3 to 4 only"},
		{"proc unavail", func(e *xdr.Encoder, xid uint32) { oncrpc.AppendAccepted(e, xid, oncrpc.ProcUnavail) }, "rpc: NULL: procedure unavailable"},
		{"garbage", func(e *xdr.Encoder, xid uint32) { oncrpc.AppendAccepted(e, xid, oncrpc.GarbageArgs) }, "rpc: NULL: garbage arguments"},
		{"system", func(e *xdr.Encoder, xid uint32) { oncrpc.AppendAccepted(e, xid, oncrpc.SystemErr) }, "rpc: NULL: system error (accept_stat 5)"},
		{"rpc mismatch", oncrpc.AppendRPCMismatch, "rpc: NULL: RPC versions 2 to 2 only"},
		{"auth", func(e *xdr.Encoder, xid uint32) { oncrpc.AppendAuthError(e, xid, oncrpc.AuthTooWeak) }, "rpc: NULL: credential refused (auth_stat 5)"},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, nfsclient.Options{}, func(t *testing.T, nc net.Conn) {
				var e xdr.Encoder
				at := oncrpc.BeginRecord(&e)
				tt.reply(&e, take(t, nc).XID)
				oncrpc.EndRecord(&e, at)
				nc.Write(e.B)
				drain(nc)
			})
			err := c.Null(t.Context())
			if rpc, ok := errors.AsType[*nfsclient.RPCError](err); !ok || rpc.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestBadReplies(t *testing.T) {
	getattr := make([]uint32, 1+21)
	tt := []struct {
		name string
		play func(t *testing.T, nc net.Conn, xid uint32)
		want string
		ends bool // the connection with it
	}{
		{"results end early", func(t *testing.T, nc net.Conn, xid uint32) { reply(t, nc, xid, oncrpc.Success, getattr[:5]...) }, "malformed", false},
		{"results too long", func(t *testing.T, nc net.Conn, xid uint32) {
			reply(t, nc, xid, oncrpc.Success, append(getattr, 7)...)
		}, "4 bytes behind the results", false},
		{"reply to no call", func(t *testing.T, nc net.Conn, xid uint32) { reply(t, nc, xid+9, oncrpc.Success) }, "reply to no call", true},
		{"no header", func(_ *testing.T, nc net.Conn, _ uint32) { nc.Write([]byte{0x80, 0, 0, 2, 1, 2}) }, "malformed", true},
		{"record beyond the bound", func(_ *testing.T, nc net.Conn, _ uint32) { nc.Write([]byte{0xff, 0xff, 0xff, 0xff}) }, "too long", true},
		{"end inside a record", func(_ *testing.T, nc net.Conn, _ uint32) {
			nc.Write([]byte{0x80, 0, 0, 9, 1})
			nc.Close()
		}, "unexpected EOF", true},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, nfsclient.Options{MaxReply: 4096}, func(t *testing.T, nc net.Conn) {
				tt.play(t, nc, take(t, nc).XID)
				drain(nc)
			})
			_, err := c.Getattr(t.Context(), "h")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want one with %q", err, tt.want)
			}
			if tt.ends {
				<-c.Done()
			}
			if ended := c.Err() != nil; ended != tt.ends {
				t.Errorf("connection ended: got %v, want %v", ended, tt.ends)
			}
		})
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	c := dial(t, nfsclient.Options{}, func(t *testing.T, nc net.Conn) {
		late := take(t, nc)
		reply(t, nc, take(t, nc).XID, oncrpc.Success)
		reply(t, nc, late.XID, oncrpc.Success)
		drain(nc)
	})
	ctx, cancel := context.WithCancel(t.Context())
	p := c.Start(&nfsclient.VoidArgs{P: nfsclient.NFSProc(nfsclient.ProcNull)})
	cancel()
	if err := p.Into(ctx, &nfsclient.VoidRes{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if err := errors.Join(c.Null(t.Context()), p.Into(t.Context(), &nfsclient.VoidRes{})); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// TestFragments looks at the bytes that a call becomes.
func TestFragments(t *testing.T) {
	for _, size := range []int{0, 1, 3, 4, 7, 40, 44, 1000} {
		got := make(chan []byte, 1)
		c := dial(t, nfsclient.Options{Fragment: size}, func(t *testing.T, nc net.Conn) {
			var raw bytes.Buffer
			rec, err := oncrpc.ReadRecord(io.TeeReader(nc, &raw), nil, 1000)
			if err != nil {
				t.Errorf("server reads: %v", err)
			}
			var call oncrpc.Call
			oncrpc.DecodeCall(&xdr.Decoder{B: rec}, &call)
			got <- raw.Bytes()
			reply(t, nc, call.XID, oncrpc.Success)
			drain(nc)
		})
		if err := c.Null(t.Context()); err != nil {
			t.Fatalf("fragments of %d: %v", size, err)
		}
		const length = 40 // of a NULL call with AUTH_NONE
		marks := 1
		if size > 0 {
			marks = (length + size - 1) / size
		}
		if n := len(<-got); n != length+marks*oncrpc.MarkSize {
			t.Errorf("fragments of %d: got %d bytes, want %d in %d fragments", size, n, length, marks)
		}
	}
}

func TestCredentials(t *testing.T) {
	creds := make(chan oncrpc.Cred, 2)
	c := dial(t, nfsclient.Options{}, func(t *testing.T, nc net.Conn) {
		for range 2 {
			call := take(t, nc)
			creds <- call.Cred
			reply(t, nc, call.XID, oncrpc.Success)
		}
		drain(nc)
	})
	if err := errors.Join(c.Null(t.Context()), c.As(nfsclient.AuthSys(501, 20, 12, 61)).Null(t.Context())); err != nil {
		t.Fatal(err)
	}
	if none := <-creds; none.Flavor != oncrpc.AuthNone {
		t.Errorf("got flavor %d, want AUTH_NONE", none.Flavor)
	}
	sys := <-creds
	if sys.Flavor != oncrpc.AuthSys || sys.UID != 501 || sys.GID != 20 || !slices.Equal(sys.Groups(), []uint32{12, 61}) {
		t.Errorf("got %+v, want uid 501, gid 20, groups 12 and 61", sys)
	}
}

func TestStatusNames(t *testing.T) {
	seen := map[string]bool{}
	for s := range nfsclient.Status(10009) {
		if name := s.String(); !strings.HasPrefix(name, "status ") {
			seen[name] = true
		}
	}
	if len(seen) != 29 { // as many as RFC 1813 §2.6 has
		t.Errorf("got %d names, want 29: %v", len(seen), seen)
	}
	if got := nfsclient.Status(4711).Error(); got != "nfs: status 4711" {
		t.Errorf("got %q", got)
	}
}
