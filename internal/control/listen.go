package control

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// socketName is the socket in the state directory; newName is its name until it is ready.
const (
	socketName = "control"
	newName    = socketName + ".new"
)

// maxPath is what a socket's address has room for, with a NUL: 104 bytes on macOS, 108
// on Linux (sockaddr_un).
const maxPath = len(unix.RawSockaddrUnix{}.Path)

// Listen makes the socket in the state directory dir, whose lock the caller holds, and lets
// in only processes of the user owner, whose it is then, and of root. Close removes it.
func Listen(dir string, owner uint32) (net.Listener, error) {
	fail := func(err error) (net.Listener, error) {
		return nil, fmt.Errorf("make the control socket in %s: %w", dir, err)
	}
	fresh := filepath.Join(dir, newName)
	if err := os.Remove(fresh); err != nil && !os.IsNotExist(err) {
		return fail(err)
	}
	var l *net.UnixListener
	err := within(dir, func(short string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(short, newName)})
		return err
	})
	if err != nil {
		return fail(err)
	}
	l.SetUnlinkOnClose(false) // it has another name by then
	err = os.Chmod(fresh, 0o600)
	if err == nil && uint32(os.Geteuid()) != owner {
		err = os.Lchown(fresh, int(owner), -1)
	}
	if err == nil {
		err = os.Rename(fresh, filepath.Join(dir, socketName))
	}
	if err != nil {
		l.Close()
		return fail(err)
	}
	return newListener(l, dir, owner), nil
}

// Resume goes on with the socket of Listen that another process listened on.
func Resume(l *net.UnixListener, dir string, owner uint32) net.Listener {
	l.SetUnlinkOnClose(false)
	return newListener(l, dir, owner)
}

func newListener(l *net.UnixListener, dir string, owner uint32) *listener {
	return &listener{UnixListener: l, path: filepath.Join(dir, socketName), owner: owner}
}

// within calls f with a path for dir that leaves a socket's address room for a name: one
// that is too long gets a link to it in a directory of the caller's own, for the time.
func within(dir string, f func(short string) error) error {
	if len(dir)+1+len(newName) < maxPath {
		return f(dir)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "nixnfsd")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	link := filepath.Join(tmp, "state")
	if err := os.Symlink(dir, link); err != nil {
		return err
	}
	return f(link)
}

type listener struct {
	*net.UnixListener
	path  string
	owner uint32
}

// Accept gives the next connection of who may come in; others are hung up on.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := peer(c); err == nil && (uid == l.owner || uid == 0) {
			return c, nil
		}
		c.Close()
	}
}

// Close ends listening and removes the socket.
func (l *listener) Close() error {
	err := l.UnixListener.Close()
	if err == nil {
		_ = os.Remove(l.path) // else the next server replaces it
	}
	return err
}

// peer gives the user of the process at the other end.
func peer(c *net.UnixConn) (uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peerErr error
	if err := raw.Control(func(fd uintptr) { uid, peerErr = peerUID(int(fd)) }); err != nil {
		return 0, err
	}
	return uid, peerErr
}
