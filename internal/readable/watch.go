package readable

import (
	"fmt"
	"os"
	"sync"
	"syscall"
)

// Watch makes bells, and waits for as long as there are any. The zero Watch is ready.
type Watch struct {
	mu     sync.Mutex
	waiter *waiter // nil: there are no bells
}

// Bell rings when there is something to be read from a connection, or that has ended.
type Bell struct {
	of          *Watch
	waiter      *waiter
	raw         syscall.RawConn
	fd          int
	ring        func()
	arm, disarm func(fd uintptr) // made once
	err         error            // of arm and disarm
}

// waiter waits for the connections of bells.
type waiter struct {
	queue      *queue
	stay, stop *os.File // a pipe: to close stop ends waiting

	// The Watch's mu guards these.
	bells map[int]*Bell // by descriptor; of a closed connection another may have that
	count int           // bells that are not closed
}

// Bell makes a bell. It calls ring from a goroutine that all bells share.
func (w *Watch) Bell(c syscall.Conn, ring func()) (*Bell, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("a connection's descriptor: %w", err)
	}
	b := &Bell{of: w, raw: raw, ring: ring}
	if err := raw.Control(func(fd uintptr) { b.fd = int(fd) }); err != nil {
		return nil, fmt.Errorf("a connection's descriptor: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiter == nil {
		if w.waiter, err = w.start(); err != nil {
			return nil, fmt.Errorf("wait for connections: %w", err)
		}
	}
	b.waiter = w.waiter
	b.waiter.bells[b.fd] = b
	b.waiter.count++
	b.arm = func(fd uintptr) { b.err = b.waiter.queue.arm(int(fd)) }
	b.disarm = func(fd uintptr) { b.err = b.waiter.queue.disarm(int(fd)) }
	return b, nil
}

// Arm has the bell ring once, at once if there is something already. It reports false when
// the connection is closed.
func (b *Bell) Arm() bool { return b.raw.Control(b.arm) == nil && b.err == nil }

// Disarm has the bell keep silent, but for a ring that is on its way.
func (b *Bell) Disarm() { _ = b.raw.Control(b.disarm) } // a connection that is closed rings no bell

// Close gives back what the bell has.
func (b *Bell) Close() {
	w, n := b.of, b.waiter
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = b.raw.Control(func(fd uintptr) { n.queue.forget(int(fd)) }) // that of a closed one is forgotten
	if n.bells[b.fd] == b {
		delete(n.bells, b.fd)
	}
	if n.count--; n.count == 0 {
		n.stop.Close()
		w.waiter = nil
	}
}

// start has a waiter wait.
func (w *Watch) start() (*waiter, error) {
	q, err := openQueue()
	if err != nil {
		return nil, err
	}
	n := &waiter{queue: q, bells: map[int]*Bell{}}
	if n.stay, n.stop, err = os.Pipe(); err == nil {
		err = q.arm(int(n.stay.Fd()))
	}
	if err != nil {
		n.close()
		return nil, err
	}
	go w.wait(n)
	return n, nil
}

// wait rings bells until the waiter is stopped.
func (w *Watch) wait(n *waiter) {
	stay := int(n.stay.Fd())
	for {
		fd := n.queue.wait()
		if fd == stay {
			n.close()
			return
		}
		w.mu.Lock()
		b := n.bells[fd]
		w.mu.Unlock()
		if b != nil {
			b.ring()
		}
	}
}

func (n *waiter) close() {
	n.queue.close()
	n.stay.Close() // where there is none it gives an error
	n.stop.Close()
}
