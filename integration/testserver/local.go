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
	served chan error
}

// Serve serves on a free port, as the user who runs the test.
func Serve(o nfs.Options) (*Local, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o.Export, o.Owner = Export, uint32(os.Getuid())
	l := &Local{Addr: listener.Addr().String(), server: nfs.New(o), served: make(chan error, 1)}
	go func() { l.served <- l.server.Serve(listener) }()
	return l, nil
}

// Stop ends the server when it has answered what was asked.
func (l *Local) Stop() error {
	const limit = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := l.server.Shutdown(ctx)
	if served := <-l.served; !errors.Is(served, nfs.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
