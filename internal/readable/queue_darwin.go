package readable

import "golang.org/x/sys/unix"

// queue is a kqueue(2).
type queue struct {
	fd     int
	events [1]unix.Kevent_t
}

func openQueue() (*queue, error) {
	fd, err := unix.Kqueue()
	if err == nil {
		unix.CloseOnExec(fd) // fork(2) does not hand a kqueue on, but internal/handover execs without one
	}
	return &queue{fd: fd}, err
}

func (q *queue) close() { unix.Close(q.fd) }

// arm has wait give fd once, when there is something to be read.
func (q *queue) arm(fd int) error { return q.change(fd, unix.EV_ADD|unix.EV_ONESHOT) }

func (q *queue) disarm(fd int) error { return q.change(fd, unix.EV_DELETE) }

func (q *queue) forget(fd int) { _ = q.disarm(fd) }

func (q *queue) change(fd, flags int) error {
	var e [1]unix.Kevent_t
	unix.SetKevent(&e[0], fd, unix.EVFILT_READ, flags)
	_, err := unix.Kevent(q.fd, e[:], nil, nil)
	return err
}

// wait gives a descriptor that was armed and is readable, or -1.
func (q *queue) wait() int {
	n, _ := unix.Kevent(q.fd, nil, q.events[:], nil) // a signal is the only error that there can be
	if n <= 0 {
		return -1
	}
	return int(q.events[0].Ident)
}
