package nfs

import (
	"bytes"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// onPipe serves one end of a pipe, in a bubble whose clock runs ahead when
// everybody waits, and gives the other end and how long the connection lasted.
func onPipe(s *Server) (net.Conn, func() time.Duration) {
	near, far := net.Pipe()
	start, ended := time.Now(), make(chan struct{})
	go func() {
		newPeer(s, far).run()
		close(ended)
	}()
	return near, func() time.Duration {
		<-ended
		return time.Since(start)
	}
}

func TestClientThatStopsInACallIsCutOff(t *testing.T) {
	call := nfsCall(1, procWrite, &owner, on(fakeFile).u64(0).u32(maxIO, 0).opaque(make([]byte, maxIO)))
	for _, n := range []int{1, 3, 4, 50, 200_000, 600_000} {
		synctest.Test(t, func(t *testing.T) {
			c, lasted := onPipe(newServer(newFakeFS()))
			defer c.Close()
			send(t, c, record(call)[:n])
			if got := lasted(); got < stall || got > 2*stall {
				t.Errorf("after %d bytes: lasted %v", n, got)
			}
		})
	}
}

func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	for _, proc := range []uint32{procGetattr, procCommit, procRead, procReaddirplus} {
		synctest.Test(t, func(t *testing.T) {
			c, lasted := onPipe(newServer(newFakeFS()))
			defer c.Close()
			go func() { _, _ = c.Write(bytes.Repeat(record(nfsCall(1, proc, &owner, goodArgs()[proc])), 3000)) }()
			if got := lasted(); got < patience || got > 2*patience {
				t.Errorf("procedure %d: lasted %v", proc, got)
			}
		})
	}
}

func TestIdleClientIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, lasted := onPipe(newServer(newFakeFS()))
		for range 3 {
			go func() { _, _ = c.Write(record(nfsCall(1, procNull, &owner, &args{}))) }()
			next(t, c)
			time.Sleep(24 * time.Hour)
		}
		c.Close()
		if got := lasted(); got != 3*24*time.Hour {
			t.Errorf("lasted %v", got)
		}
	})
}
