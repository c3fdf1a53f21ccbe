package metrics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/net/netutil"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/peeruid"
)

// maxConns is how many connections there are at once, idle ones among them. Others wait.
const maxConns = 16

// Listen makes the socket of an address. A Unix socket that a server left which is gone is
// replaced, and Close removes it.
func Listen(ctx context.Context, a Address) (net.Listener, error) {
	if a.Socket != "" {
		return listenUnix(ctx, a.Socket)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", a.TCP.String())
}

// Resume goes on with a socket of Listen that another process listened on.
func Resume(from *os.File, a Address) (net.Listener, error) {
	l, err := net.FileListener(from)
	if unix, ok := l.(*net.UnixListener); ok {
		return control.ResumeAt(unix, a.Socket, uint32(os.Geteuid())), nil
	}
	return l, err
}

// Guard lets in who may ask, and not too many at once.
func Guard(l net.Listener) net.Listener {
	if l.Addr().Network() == "tcp" {
		l = &guarded{Listener: l, peer: peeruid.Of, owner: uint32(os.Geteuid())}
	}
	return netutil.LimitListener(l, maxConns) // a Unix socket's own guard is package control's
}

func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if err := isOurs(filepath.Dir(path)); err != nil {
		return nil, err
	}
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is there already, and is no socket: remove it, or give another path", path)
	default:
		if c, err := control.Dial(ctx, path); err == nil {
			c.Close()
			return nil, fmt.Errorf("%s is in use by another program: stop that, or give another path", path)
		}
	}
	return control.ListenAt(path, uint32(os.Geteuid()))
}

// isOurs says why nobody else may be kept from putting a socket of his own in a directory.
func isOurs(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("look at the socket's directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	case int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s is not a directory that only you can write to: give a path in one", dir)
	}
	return nil
}

// guarded is a listener whose connections are the owner's and root's.
type guarded struct {
	net.Listener
	peer  func(net.Conn) (uint32, error)
	owner uint32
}

// Accept gives the next connection of who may come in; others are hung up on.
func (g *guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := g.peer(c); err == nil && (uid == g.owner || uid == 0) {
			return c, nil
		}
		c.Close()
	}
}
