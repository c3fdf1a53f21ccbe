package readable

import "golang.org/x/sys/unix"

// queue is an epoll(7) instance.
type queue struct {
	fd     int
	events [1]unix.EpollEvent
}

func openQueue() (*queue, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &queue{fd: fd}, err
}

func (q *queue) close() { unix.Close(q.fd) }

// arm has wait give fd once, when there is something to be read.
func (q *queue) arm(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}
	err := unix.EpollCtl(q.fd, unix.EPOLL_CTL_ADD, fd, &e)
	if err == unix.EEXIST { // wait gave it
		err = unix.EpollCtl(q.fd, unix.EPOLL_CTL_MOD, fd, &e)
	}
	return err
}

// disarm takes fd out: what arrives on one that is in, though of no interest, takes longer to get to
// who reads, by more than it takes to put it in again.
func (q *queue) disarm(fd int) error { return unix.EpollCtl(q.fd, unix.EPOLL_CTL_DEL, fd, nil) }

func (q *queue) forget(fd int) { _ = q.disarm(fd) }

// wait gives a descriptor that was armed and is readable, or -1.
func (q *queue) wait() int {
	n, _ := unix.EpollWait(q.fd, q.events[:], -1) // a signal is the only error that there can be
	if n <= 0 {
		return -1
	}
	return int(q.events[0].Fd)
}
