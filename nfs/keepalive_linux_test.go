package nfs

import (
	"errors"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// What a connection is told is what keepAlive says, whoever made the listener, and also
// when it comes from another process, where package net makes it one of its own.
func TestKeepAlive(t *testing.T) {
	s := newServer(newFakeFS())
	if err := ping(dial(t, serve(t, s))); err != nil {
		t.Fatal(err)
	}
	s.isKeptAlive(t)
	h, err := s.Halt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := h.Detach()[0].Conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	nc, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	next := newServer(newFakeFS())
	serve(t, next)
	next.Adopt(Conn{Conn: nc})
	next.isKeptAlive(t)
}

func (s *Server) isKeptAlive(t *testing.T) {
	t.Helper()
	raw, err := s.onlyPeer(t).nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ level, option, want int }{
		{level: unix.SOL_SOCKET, option: unix.SO_KEEPALIVE, want: 1},
		{level: unix.IPPROTO_TCP, option: unix.TCP_KEEPIDLE, want: 120},
		{level: unix.IPPROTO_TCP, option: unix.TCP_KEEPINTVL, want: 15},
		{level: unix.IPPROTO_TCP, option: unix.TCP_KEEPCNT, want: 4},
	} {
		var got int
		var gotErr error
		err := raw.Control(func(fd uintptr) { got, gotErr = unix.GetsockoptInt(int(fd), tt.level, tt.option) })
		if err := errors.Join(err, gotErr); err != nil || got != tt.want {
			t.Errorf("option %d is %d, %v, want %d", tt.option, got, err, tt.want)
		}
	}
}

func (s *Server) onlyPeer(t *testing.T) *peer {
	s.peers.mu.Lock()
	defer s.peers.mu.Unlock()
	if len(s.peers.all) != 1 {
		t.Fatalf("%d connections, want 1", len(s.peers.all))
	}
	for p := range s.peers.all {
		return p
	}
	return nil
}

// ownNetwork has the test's goroutine in a network of its own, in which the loopback
// device can be set down and up.
func ownNetwork(t *testing.T) (set func(up bool)) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test's goroutine
	err := unix.Unshare(unix.CLONE_NEWNET)
	testenv.Require(t, err == nil, "no network namespace can be made, which takes root")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	set = func(up bool) {
		t.Helper()
		if err := setLoopback(fd, up); err != nil {
			t.Fatalf("set the loopback device up %v: %v", up, err)
		}
	}
	set(true)
	return set
}

func setLoopback(fd int, up bool) error {
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if up {
		r.SetUint16(unix.IFF_UP)
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// A client that is gone without a word is found out, and what it held is free, whether
// it waits for nothing or a reply to it is under way.
func TestClientGoneWithoutAWord(t *testing.T) {
	for _, tt := range []struct {
		name  string
		calls []byte
	}{
		{"idle", nil},
		{"in the middle of a call", record(nfsCall(1, procNull, &owner, &args{}))[:20]},
		{"with a call under way", record(nfsCall(1, procCommit, &owner, goodArgs()[procCommit]))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := ownNetwork(t)
			fewRetries(t)
			g, f := newGate("commit"), newFakeFS()
			f.hook = g.hook
			defer g.open()
			s := newServer(f)
			s.alive = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 1}
			c := dial(t, serve(t, s))
			if err := ping(c); err != nil {
				t.Fatal(err)
			}
			send(t, c, tt.calls)
			testenv.Await(t, "the call has begun", func() bool { return len(tt.calls) < 40 || g.inside.Load() == 1 })
			set(false)
			c.Close() // of which the server does not hear
			g.open()
			testenv.Await(t, "the connection is gone", func() bool { return s.peers.count() == 0 })
			set(true)
			again := dial(t, s.anyAddress(t))
			if err := ping(again); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// fewRetries has this network's kernel give up a reply that is not taken in seconds.
func fewRetries(t *testing.T) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_retries2", []byte("3"), 0); err != nil {
		t.Fatal(err)
	}
}

func (s *peers) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

func (s *Server) anyAddress(t *testing.T) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		return l.Addr().String()
	}
	t.Fatal("nothing listens")
	return ""
}
