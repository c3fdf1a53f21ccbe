package nfs

import "sync"

// relay has one goroutine of several read a connection at a time. One more waits to
// be the next: to start it takes longer than to wake it.
type relay struct {
	over chan error // gets why reading ended

	mu    sync.Mutex
	free  sync.Cond // nobody reads any more
	taken bool      // somebody reads, or reading has ended
	ended bool
	next  bool // somebody waits to read
}

func newRelay() *relay {
	r := &relay{over: make(chan error, 1)}
	r.free.L = &r.mu
	return r
}

// take waits until nobody reads, and has the caller read. It reports false when reading has
// ended, or another waits already.
func (r *relay) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.taken {
		if r.next || r.ended {
			return false
		}
		r.next = true
		r.free.Wait()
		r.next = false
	}
	r.taken = true
	return true
}

// pass has the next one read, or whoever takes it before that one is there. It reports
// false when nobody waits for it.
func (r *relay) pass() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = false
	r.free.Signal()
	return r.next
}

// end ends reading. It is called by the one who reads.
func (r *relay) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.free.Signal()
	r.over <- err
}
