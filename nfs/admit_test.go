package nfs

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus/hooks/test"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

func TestAdmits(t *testing.T) {
	for _, tt := range []struct {
		name string
		uid  uint32
		err  error
		want bool
	}{
		{"the owner", 1000, nil, true},
		{"root", 0, nil, true},
		{"another user", 1001, nil, false},
		{"nobody", 65534, nil, false},
		{"there is no telling", 0, errors.New("gone"), false},
		{"there is no telling, and it looks like the owner", 1000, errors.New("gone"), false},
	} {
		if got := admits(1000, tt.uid, tt.err); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

// admitting makes a server that takes the next connections for those of *uid.
func admitting(f FS, uid *atomic.Uint32) (*Server, *test.Hook) {
	log, lines := test.NewNullLogger()
	return New(Options{
		FS: f, Key: testKey, Export: "/nix", Owner: 1000, Log: log,
		PeerUID: func(net.Conn) (uint32, error) { return uid.Load(), nil },
	}), lines
}

// TestStrangersConnectionsAreRefused: they get no byte, whatever they say, no call of theirs is
// carried out, and one line tells of many.
func TestStrangersConnectionsAreRefused(t *testing.T) {
	var uid atomic.Uint32
	uid.Store(1001)
	f := newFakeFS()
	f.hook = func(op string, _ overlay.Caller) error {
		t.Errorf("%s was carried out", op)
		return nil
	}
	s, lines := admitting(f, &uid)
	addr := serve(t, s)
	const n = 50
	for range n {
		c := dial(t, addr)
		_, _ = c.Write(record(nfsCall(1, procRemove, &owner, on(fakeRoot).str("file")))) // fails when it is late
		if b, err := io.ReadAll(c); len(b) > 0 || errors.Is(err, io.EOF) {
			t.Fatalf("got % x, %v", b, err)
		}
	}
	testenv.Await(t, "all are logged or counted", func() bool {
		s.refused.mu.Lock()
		defer s.refused.mu.Unlock()
		return s.refused.count == n-1
	})
	if got := len(lines.AllEntries()); got != 1 {
		t.Errorf("%d lines, want 1", got)
	}
	if e := lines.LastEntry(); e.Data[fieldUID] != uint32(1001) || e.Data[fieldRefused] != 1 {
		t.Errorf("logged %v", e.Data)
	}
}

// TestStrangersTakeNoPlace: however many come, those who are let in keep their connections.
func TestStrangersTakeNoPlace(t *testing.T) {
	var uid atomic.Uint32
	s, _ := admitting(newFakeFS(), &uid)
	s.peers = newPeers(2)
	addr := serve(t, s)
	conns := []net.Conn{dial(t, addr), dial(t, addr)}
	for i, c := range conns {
		if err := ping(c); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	uid.Store(1001)
	for range 100 {
		c := dial(t, addr)
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Fatalf("got % x", b)
		}
	}
	for i, c := range conns {
		if err := ping(c); err != nil {
			t.Errorf("connection %d is gone: %v", i, err)
		}
	}
}

// TestSlowAdmission: while some connections are looked at, others are let in; a
// shutdown waits for them all.
func TestSlowAdmission(t *testing.T) {
	var looks atomic.Int32
	release := make(chan struct{})
	s := New(Options{FS: newFakeFS(), Key: testKey, Export: "/nix", Owner: 1000, PeerUID: func(net.Conn) (uint32, error) {
		if looks.Add(1) < maxDoors {
			<-release
		}
		return 1000, nil
	}})
	addr := serve(t, s)
	var slow []net.Conn
	for range maxDoors - 1 {
		slow = append(slow, dial(t, addr))
	}
	testenv.Await(t, "they are looked at", func() bool { return looks.Load() == maxDoors-1 })
	if err := ping(dial(t, addr)); err != nil {
		t.Error(err)
	}
	close(release)
	for _, c := range slow {
		if err := ping(c); err != nil {
			t.Error(err)
		}
	}
}

func TestSeldom(t *testing.T) {
	var s seldom
	for _, tt := range []struct {
		at   time.Duration
		want int
	}{{time.Second, 1}, {2 * time.Second, 0}, {hush, 0}, {hush + time.Second, 3}, {hush + 2*time.Second, 0}, {10 * hush, 2}} {
		if got := s.add(tt.at); got != tt.want {
			t.Errorf("at %v: got %d, want %d", tt.at, got, tt.want)
		}
	}
}
