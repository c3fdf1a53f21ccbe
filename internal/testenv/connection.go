package testenv

import (
	"fmt"
	"net"
	"testing"
)

// Connection gives both ends of a connection to a listener at address, which is dialled at the
// host to or, where that is empty, at its own. They are closed when the test ends.
func Connection(t testing.TB, address, to string) (accepted, dialled net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	Require(t, err == nil, fmt.Sprintf("cannot listen on %s: %v", address, err))
	defer l.Close()
	if to == "" {
		to = l.Addr().String()
	} else {
		to = fmt.Sprint(to, ":", l.Addr().(*net.TCPAddr).Port)
	}
	if dialled, err = net.Dial("tcp", to); err != nil {
		t.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close(); dialled.Close() })
	return accepted, dialled
}
