package peeruid

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

var (
	// ErrUnknown is given when this machine, or this network namespace, has no such socket.
	ErrUnknown = errors.New("its socket is not found")
	// ErrClosed is given when the other end, or this one, was closed or reset.
	ErrClosed = errors.New("it was closed at once")
)

// Of gives the user of the socket at the other end of c, a TCP connection. It waits for
// nobody. An error means that there is no telling; with ErrUnknown and ErrClosed that is for good.
func Of(c net.Conn) (uid uint32, err error) {
	e, err := endsOf(c)
	if err == nil {
		uid, err = lookup(e)
	}
	if err == nil {
		err = connected(c)
	}
	if err != nil {
		return 0, fmt.Errorf("look up whose connection it is: %w", err)
	}
	return uid, nil
}

// ends are the addresses of a connection. IPv4 addresses are such, also of IPv6 sockets.
type ends struct{ server, client netip.AddrPort }

func endsOf(c net.Conn) (ends, error) {
	local, ok1 := c.LocalAddr().(*net.TCPAddr)
	remote, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return ends{}, fmt.Errorf("no TCP connection: %w", errors.ErrUnsupported)
	}
	return ends{server: address(local), client: address(remote)}, nil
}

func address(a *net.TCPAddr) netip.AddrPort {
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// connected returns nil while c, which was accepted, has not been reset.
func connected(c net.Conn) error {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return fmt.Errorf("no socket: %w", errors.ErrUnsupported)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { _, err = unix.Getpeername(int(fd)) }); cerr != nil {
		return cerr
	}
	if err != nil { // ENOTCONN, and on macOS EINVAL too
		return ErrClosed
	}
	return nil
}

// socket is what a system's table says of one.
type socket struct {
	local, remote netip.AddrPort
	uid           uint32
	live          bool // it is connected, and somebody has it
}

// owner gives the user of the client's socket, which is among the given ones.
func (e ends) owner(sockets iter.Seq[socket]) (uid uint32, err error) {
	err = ErrUnknown
	for s := range sockets {
		switch {
		case s.local != e.client || s.remote != e.server:
		case !s.live:
			return 0, ErrClosed
		case err == nil && s.uid != uid:
			return 0, fmt.Errorf("it is both uid %d's and uid %d's", uid, s.uid)
		default:
			uid, err = s.uid, nil
		}
	}
	return uid, err
}
