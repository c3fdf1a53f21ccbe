package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// A client that resets its connection while one program gives way to another is gone, and
// nobody else is.
func TestResetInARestart(t *testing.T) {
	p := startProcess(t)
	idle, _ := p.client()
	var gone []*net.TCPConn
	for range 3 {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, c.(*net.TCPConn))
	}
	p.meanwhile(func() {
		for _, c := range gone {
			_ = c.SetLinger(0)
			c.Close()
		}
	})
	if err := idle.Null(t.Context()); err != nil {
		t.Error(err)
	}
}

// A process that may have few descriptors keeps its clients.
func TestRestartWithFewDescriptors(t *testing.T) {
	p := startProcess(t)
	var clients []*nfsclient.Client
	for range 30 {
		c, _ := p.client()
		clients = append(clients, c)
	}
	enough := uint64(p.descriptors() + 16)
	few := unix.Rlimit{Cur: enough, Max: enough}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	p.mustRestart("nixnfsd")
	for i, c := range clients {
		if err := c.Null(t.Context()); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
}

// meanwhile does something between two programs.
func (p *process) meanwhile(do func()) {
	p.t.Helper()
	dir := p.t.TempDir()
	begun, over := filepath.Join(dir, "begun"), filepath.Join(dir, "over")
	err := p.order("exit; fi\n>" + begun + "\nwhile ! [ -e " + over + " ]; do sleep .01; done\nexec nixnfsd \"$@\"\n")
	if !errors.Is(err, control.ErrEnded) {
		p.t.Fatal(err)
	}
	await(p.t, "the server has given way", func() bool { _, err := os.Stat(begun); return err == nil })
	do()
	if err := os.WriteFile(over, nil, 0o600); err != nil {
		p.t.Fatal(err)
	}
}
