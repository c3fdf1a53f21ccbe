package control

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// socketName is the socket in the state directory. What is behind a socket's name until it is
// ready is newSuffix.
const (
	socketName = "control"
	newSuffix  = ".new"
)

// maxPath is what a socket's address has room for, with a NUL: 104 bytes on macOS, 108
// on Linux (sockaddr_un).
const maxPath = len(unix.RawSockaddrUnix{}.Path)

// Listen makes the socket in the state directory dir, whose lock the caller holds, and lets
// in only processes of the user owner, whose it is then, and of root. Close removes it.
func Listen(dir string, owner uint32) (net.Listener, error) {
	l, err := ListenAt(filepath.Join(dir, socketName), owner)
	if err != nil {
		return nil, fmt.Errorf("make the control socket in %s: %w", dir, err)
	}
	return l, nil
}

// ListenAt makes such a socket at a path, in a directory that nobody else may change. What is
// there is replaced.
func ListenAt(path string, owner uint32) (net.Listener, error) {
	fresh := path + newSuffix
	if err := os.Remove(fresh); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var l *net.UnixListener
	err := within(fresh, func(short string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: short})
		return err
	})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it has another name by then
	err = os.Chmod(fresh, 0o600)
	if err == nil && uint32(os.Geteuid()) != owner {
		err = os.Lchown(fresh, int(owner), -1)
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return &listener{UnixListener: l, path: path, owner: owner}, nil
}

// Resume goes on with the socket of Listen that another process listened on.
func Resume(l *net.UnixListener, dir string, owner uint32) net.Listener {
	return ResumeAt(l, filepath.Join(dir, socketName), owner)
}

// ResumeAt is Resume for a socket of ListenAt.
func ResumeAt(l *net.UnixListener, path string, owner uint32) net.Listener {
	l.SetUnlinkOnClose(false)
	return &listener{UnixListener: l, path: path, owner: owner}
}

// within calls f with a path for a socket that an address has room for: of one that is too long
// the directory gets a link to it in a directory of the caller's own, for the time.
func within(path string, f func(short string) error) error {
	if len(path) < maxPath {
		return f(path)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
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
	return f(filepath.Join(link, filepath.Base(path)))
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
