package readable

import (
	"os"
	"sync"
	"syscall"
)

// Poller makes notifiers, and waits for as long as any of them was armed and is not closed. The
// zero Poller is ready. Its methods are safe for concurrent use.
type Poller struct {
	mu     sync.Mutex
	waiter *waiter // nil: there is nothing to wait for
}

// Notifier tells when there is something to be read from a connection, or that has ended. Its
// methods are not to be called at the same time.
type Notifier struct {
	poller *Poller
	conn   syscall.Conn
	notify func()

	waiter      *waiter // nil: it was never armed
	raw         syscall.RawConn
	fd          int
	arm, disarm func(fd uintptr) // made once: for RawConn.Control, each would be allocated
	err         error            // of arm
}

// waiter waits for the connections of notifiers.
type waiter struct {
	queue         *queue
	stopped, stop *os.File // a pipe: to close stop ends waiting

	// The Poller's mu guards these.
	notifiers map[int]*Notifier // by descriptor; of a closed connection another may have that
	count     int               // notifiers that are not closed
}

// Notifier makes a notifier of c, which takes nothing until it is armed. It calls notify from a
// goroutine that all notifiers share: notify must not wait.
func (p *Poller) Notifier(c syscall.Conn, notify func()) *Notifier {
	return &Notifier{poller: p, conn: c, notify: notify}
}

// Arm has the notifier notify once, at once if there is something already. It reports false
// when the connection is closed, or there are no descriptors left to wait with.
func (n *Notifier) Arm() bool {
	if n.waiter == nil && n.enter() != nil {
		return false
	}
	return n.raw.Control(n.arm) == nil && n.err == nil
}

// enter has the poller wait for the connection.
func (n *Notifier) enter() (err error) {
	if n.raw, err = n.conn.SyscallConn(); err != nil {
		return err
	}
	p := n.poller
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiter == nil {
		if p.waiter, err = p.start(); err != nil {
			return err
		}
	}
	w := p.waiter
	w.count++
	err = n.raw.Control(func(fd uintptr) { // in here it is nobody else's
		n.fd = int(fd)
		w.notifiers[n.fd] = n
	})
	if err != nil {
		p.release(w)
		return err
	}
	n.waiter = w
	n.arm = func(fd uintptr) { n.err = w.queue.arm(int(fd)) }
	n.disarm = func(fd uintptr) { _ = w.queue.disarm(int(fd)) } // fails for one that has notified
	return nil
}

// Disarm has the notifier keep silent, but for a notification that is on its way.
func (n *Notifier) Disarm() { _ = n.raw.Control(n.disarm) } // a connection that is closed is silent

// Close forgets the notifier. It is called once, before or after the connection is closed.
func (n *Notifier) Close() {
	p, w := n.poller, n.waiter
	if w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = n.raw.Control(func(fd uintptr) { w.queue.forget(int(fd)) }) // that of a closed one is forgotten
	if w.notifiers[n.fd] == n {
		delete(w.notifiers, n.fd)
	}
	p.release(w)
}

// release ends a waiter that has nothing to wait for any more.
func (p *Poller) release(w *waiter) {
	if w.count--; w.count == 0 {
		w.stop.Close()
		p.waiter = nil
	}
}

// start has a waiter wait.
func (p *Poller) start() (*waiter, error) {
	q, err := openQueue()
	if err != nil {
		return nil, err
	}
	w := &waiter{queue: q, notifiers: map[int]*Notifier{}}
	if w.stopped, w.stop, err = os.Pipe(); err == nil {
		err = q.arm(int(w.stopped.Fd()))
	}
	if err != nil {
		w.close()
		return nil, err
	}
	go p.wait(w)
	return w, nil
}

// wait notifies until the waiter is stopped.
func (p *Poller) wait(w *waiter) {
	stopped := int(w.stopped.Fd())
	for {
		fd := w.queue.wait()
		if fd == stopped {
			w.close()
			return
		}
		p.mu.Lock()
		n := w.notifiers[fd]
		p.mu.Unlock()
		if n != nil {
			n.notify()
		}
	}
}

func (w *waiter) close() {
	w.queue.close()
	w.stopped.Close() // nil or closed already: an error that says nothing
	w.stop.Close()
}
