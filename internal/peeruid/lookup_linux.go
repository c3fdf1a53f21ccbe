package peeruid

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/procnet"
)

// lookup asks again when the answer is root.
func lookup(e ends) (uint32, error) {
	uid, err := look(e)
	if err == nil && uid == 0 {
		return look(e)
	}
	return uid, err
}

// look falls back on /proc where sock_diag fails: without its module for TCP it says
// ENOENT, as it does of a socket that is not there.
func look(e ends) (uint32, error) {
	s, err := diag(e)
	if err == nil {
		return e.owner(func(yield func(socket) bool) { yield(s) })
	}
	uid, perr := e.owner(proc())
	if errors.Is(perr, ErrUnknown) && !errors.Is(err, unix.ENOENT) {
		perr = fmt.Errorf("%w (%w)", perr, err)
	}
	return uid, perr
}

// proc gives the sockets of /proc/net.
func proc() iter.Seq[socket] {
	return func(yield func(socket) bool) {
		for p := range procnet.TCP() {
			if !yield(socket{local: p.Local, remote: p.Remote, uid: p.UID, live: live(p.State, p.Inode)}) {
				return
			}
		}
	}
}

// diag asks sock_diag(7), which answers while it is asked.
func diag(e ends) (s socket, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return s, fmt.Errorf("netlink: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, e.diagRequest(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return s, fmt.Errorf("ask sock_diag: %w", err)
	}
	limit := unix.NsecToTimeval(int64(time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return s, fmt.Errorf("bound the wait for sock_diag: %w", err)
	}
	return receive(fd)
}

// receive reads the answer, which has to be the kernel's.
func receive(fd int) (s socket, err error) {
	var b [512]byte
	n, from, err := unix.Recvfrom(fd, b[:], 0)
	if err != nil {
		return s, fmt.Errorf("hear from sock_diag: %w", err)
	}
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return s, errMessage
	}
	return parseDiag(b[:n])
}
