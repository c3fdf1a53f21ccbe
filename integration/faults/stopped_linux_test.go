package faults

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// A server that is stopped for a while (SIGSTOP, a debugger, a machine that swaps) answers
// nobody, and goes on where it was: clients wait and see no error.
func TestStopped(t *testing.T) {
	s := newServer(t, t.TempDir())
	c, second := newClient(t, s), newClient(t, s)
	before := bytes.Repeat([]byte("before"), 1000)
	fh, other := c.put("file", before), c.put("other", before)
	s.signal(unix.SIGSTOP)
	await(t, "the server is stopped", func() bool { return s.status() == "T" })
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
	late := &client{t: t, addr: s.addr, root: c.root} // the kernel takes its connection
	defer late.close()
	waiting.Go(func() { late.holds("a client that came meanwhile", other, before) })
	await(t, "the calls are with the server's kernel", func() bool { return unread(t, s.addr) >= 3 })
	time.Sleep(*longWait)
	s.signal(unix.SIGCONT)
	waiting.Wait()
	c.holds("the file", fh, append(before, during...))
	if _, err := c.lookup(c.root, "made"); err != nil {
		t.Errorf("the file that was made meanwhile: %v", err)
	}
	s.checkStore()
}

// status is the state of the server's process, as ps(1) has it.
func (s *server) status() string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	must(s.t, err)
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest[:1]
}

// unread counts the connections to addr of which the server has bytes to read.
func unread(t *testing.T, addr string) (n int) {
	for _, c := range tcpTable(t) {
		if c.local == addr && c.established && c.received > 0 {
			n++
		}
	}
	return n
}
