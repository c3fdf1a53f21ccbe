package testserver

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/nixnfsd/nixnfsd/nfs"
)

// Export is the path that servers of tests export.
const Export = "/nix"

// Local is a server in this process.
type Local struct {
	Addr string

	server *nfs.Server
	ended  chan struct{}
	err    error // of its end
}

// Serve serves on a free port, as the user who runs the test.
func Serve(o nfs.Options) (*Local, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o.Export, o.Owner = Export, uint32(os.Getuid())
	l := &Local{Addr: listener.Addr().String(), server: nfs.New(o), ended: make(chan struct{})}
	go func() {
		l.err = l.server.Serve(listener)
		close(l.ended)
	}()
	return l, nil
}

// Stop ends the server when it has answered what was asked, if it has not ended.
func (l *Local) Stop() error {
	const limit = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := l.server.Shutdown(ctx)
	if <-l.ended; !errors.Is(l.err, nfs.ErrServerClosed) {
		err = errors.Join(err, l.err)
	}
	return err
}
