package nfs

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// ping makes a call and waits for the answer.
func ping(c net.Conn) error {
	if _, err := c.Write(record(nfsCall(1, procNull, &nobody, &args{}))); err != nil {
		return err
	}
	_, err := oncrpc.ReadRecord(c, nil, 1000)
	return err
}

// ended reports whether the server has closed a connection on which it owes nothing.
func ended(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func (s *peers) busyNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.busy)
}

// TestIdleConnections has 2000 connections, all of which have called, do no harm.
func TestIdleConnections(t *testing.T) {
	const n = 2000
	testenv.Require(t, connLimit() >= n, fmt.Sprintf("the limit of open files allows %d connections only", connLimit()))
	s := newServer(newFakeFS())
	addr := serve(t, s)
	before := memoryInUse()
	var conns []net.Conn
	for range n {
		c := dial(t, addr)
		if err := ping(c); err != nil {
			t.Fatalf("connection %d: %v", len(conns), err)
		}
		conns = append(conns, c)
	}
	testenv.Await(t, "all are idle", func() bool { return s.peers.busyNow() == 0 })
	if got := (memoryInUse() - before) / n; got > 16<<10 {
		t.Errorf("%d bytes for each connection, with the client's end", got)
	}
	for i, c := range conns {
		if err := ping(c); err != nil {
			t.Fatalf("connection %d, again: %v", i, err)
		}
	}
}

func memoryInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestTooManyConnections: the one that was silent the longest makes room.
func TestTooManyConnections(t *testing.T) {
	s := newServer(newFakeFS())
	s.peers = newPeers(4)
	addr := serve(t, s)
	var conns []net.Conn
	for range 6 {
		conns = append(conns, dial(t, addr))
		if err := ping(conns[len(conns)-1]); err != nil {
			t.Fatalf("connection %d: %v", len(conns), err)
		}
		if len(conns) == 4 {
			if err := ping(conns[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, want := range []bool{false, true, true, false, false, false} {
		if got := ended(conns[i]); got != want {
			t.Errorf("connection %d: ended %v, want %v", i, got, want)
		}
	}
}

// TestStuckConnections: clients that stop in the middle of a call, more than may
// be busy at once, do not keep others out.
func TestStuckConnections(t *testing.T) {
	addr := serve(t, newServer(newFakeFS()))
	stuck := record(nfsCall(1, procWrite, &owner, on(fakeFile).u64(0).u32(maxIO, 0).opaque(make([]byte, maxIO))))
	for range maxBusy {
		send(t, dial(t, addr), stuck[:len(stuck)/2])
	}
	for range 2 {
		if err := ping(dial(t, addr)); err != nil {
			t.Error(err)
		}
	}
}
