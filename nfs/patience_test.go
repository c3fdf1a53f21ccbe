package nfs

import (
	"bytes"
	"net"
	"sync"
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

// A byte now and then does not win time.
func TestClientThatTricklesIsCutOff(t *testing.T) {
	for _, rest := range []time.Duration{10 * time.Millisecond, time.Second, 50 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			call := record(nfsCall(1, procWrite, &owner, on(fakeFile).u64(0).u32(maxIO, 0).opaque(make([]byte, maxIO))))
			c, lasted := onPipe(newServer(newFakeFS()))
			defer c.Close()
			var writing sync.WaitGroup
			defer writing.Wait()
			writing.Go(func() {
				for len(call) > 0 && errOf(c.Write(call[:1])) == nil {
					call = call[1:]
					time.Sleep(rest)
				}
			})
			if got := lasted(); got < stall || got > 2*stall+rest {
				t.Errorf("a byte each %v: lasted %v", rest, got)
			}
		})
	}
}

func errOf(_ int, err error) error { return err }

// A call that takes long, but not too long, is answered, and so are those behind it, each
// in a time of its own.
func TestClientThatIsSlowIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, lasted := onPipe(newServer(newFakeFS()))
		call := record(nfsCall(1, procNull, &owner, &args{}))
		for range 5 {
			for _, b := range call {
				send(t, c, []byte{b})
				time.Sleep(stall / 2 / time.Duration(len(call)))
			}
			next(t, c)
		}
		c.Close()
		lasted()
	})
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
