package testserver

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
)

// Exchange sends a message over a new connection to a server, and gives the reply as it is, nil
// where the server ended before it replied.
func Exchange(t testing.TB, addr string, msg []byte) []byte {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write(oncrpc.AppendRecord(nil, msg)); err != nil {
		t.Fatal(err)
	}
	reply, err := oncrpc.ReadRecord(c, nil, 1<<16)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	return reply
}
