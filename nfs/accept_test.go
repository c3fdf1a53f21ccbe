package nfs

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/sirupsen/logrus/hooks/test"
)

// failing is a listener that fails some times before it accepts.
type failing struct {
	net.Listener
	times int
	err   error
}

func (f *failing) Accept() (net.Conn, error) {
	if f.times--; f.times >= 0 {
		return nil, f.err
	}
	return f.Listener.Accept()
}

// TestNoDescriptorsLeft: a server that cannot accept goes on trying, and does not fill the log.
func TestNoDescriptorsLeft(t *testing.T) {
	log, lines := test.NewNullLogger()
	s := New(Options{FS: newFakeFS(), Key: testKey, Export: "/nix", Owner: owner.UID, Log: log})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(&failing{l, 5, syscall.EMFILE}) }()
	c := dial(t, l.Addr().String())
	if _, err := c.Write(record(nfsCall(1, procGetattr, &owner, on(fakeRoot)))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("not served: %v", err)
	}
	if got := len(lines.AllEntries()); got != 1 {
		t.Errorf("%d lines, want 1", got)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrServerClosed) {
		t.Error(err)
	}
}
