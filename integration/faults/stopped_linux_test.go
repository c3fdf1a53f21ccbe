package faults

import (
	"bytes"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/procnet"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// A server that is stopped for a while (SIGSTOP, a debugger, a machine that swaps) answers
// nobody, and goes on where it was: clients wait and see no error.
func TestStopped(t *testing.T) {
	s := newServer(t, t.TempDir())
	c, second := newClient(t, s), newClient(t, s)
	before := bytes.Repeat([]byte("before"), 1000)
	fh, other := c.put("file", before), c.put("other", before)
	testenv.Stop(t, s.PID())
	var waiting sync.WaitGroup
	during := bytes.Repeat([]byte("during"), 1000)
	waiting.Go(func() {
		if err := c.write(fh, len(before), during, nfsclient.FileSync); err != nil {
			t.Errorf("write meanwhile: %v", err)
		}
	})
	waiting.Go(func() {
		if _, err := second.create(c.root, "made"); err != nil {
			t.Errorf("create meanwhile: %v", err)
		}
	})
	late := &client{t: t, addr: s.Addr, root: c.root} // the kernel takes its connection
	defer late.close()
	waiting.Go(func() { late.holds("a client that came meanwhile", other, before) })
	addr := netip.MustParseAddrPort(s.Addr)
	testenv.Await(t, "the calls are with the server's kernel", func() bool { return unread(addr) >= 3 })
	time.Sleep(*longWait)
	testenv.Continue(t, s.PID())
	waiting.Wait()
	c.holds("the file", fh, append(before, during...))
	if _, err := c.lookup(c.root, "made"); err != nil {
		t.Errorf("the file that was made meanwhile: %v", err)
	}
	s.checkStore()
}

// unread counts the connections to addr of which the server has bytes to read.
func unread(addr netip.AddrPort) (n int) {
	for s := range procnet.TCP() {
		if s.Local == addr && s.State == procnet.Established && s.Unread > 0 {
			n++
		}
	}
	return n
}
