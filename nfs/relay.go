package nfs

import "sync"

// eager is for how many slow calls the relay is passed on at once, after a call had arrived
// during one: such a client has several under way, and to wait for the notification takes longer.
const eager = 32

// notifier calls relay.arrived when something has arrived (readable.Notifier).
type notifier interface {
	Arm() bool
	Disarm()
	Close()
}

// relay has one goroutine of several read a connection at a time. One more waits to
// be the next: to start it takes longer than to wake it.
type relay struct {
	over     chan error // gets why reading ended
	start    func()     // starts a goroutine that takes the relay
	notifier notifier   // nil: nobody leaves

	mu    sync.Mutex
	free  sync.Cond // nobody reads any more
	taken bool      // somebody reads, or reading has ended
	ended bool
	next  bool // somebody waits to read

	away  bool // who reads is with a call
	eager int  // for how many slow calls nobody leaves
}

func newRelay(start func()) *relay {
	r := &relay{over: make(chan error, 1), start: start, eager: 1} // one alone is not worth a notifier
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

// pass has the next one read, or whoever takes it before that one is there; if none waits
// it starts one.
func (r *relay) pass() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passLocked()
}

// passLocked is pass for who holds the lock.
func (r *relay) passLocked() {
	r.taken = false
	if r.next {
		r.free.Signal()
	} else {
		r.start()
	}
}

// leave has the relay passed on as soon as a call arrives, until comeBack: to wake another up
// takes longer than many a call. It reports false when it is to be passed on now.
func (r *relay) leave() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.eager > 0 {
		r.eager--
		return false
	}
	r.away = r.notifier != nil && r.notifier.Arm()
	return r.away
}

// comeBack ends what leave began. It reports whether the caller still is the one who reads.
func (r *relay) comeBack() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.away {
		return false
	}
	r.away = false
	r.notifier.Disarm()
	return true
}

// arrived has another read on when who reads is with a call. It is what the notifier calls,
// which may be late.
func (r *relay) arrived() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		r.away, r.eager = false, eager
		r.passLocked()
	}
}

// end ends reading. It is called by the one who reads.
func (r *relay) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.free.Signal()
	r.over <- err
}

// close gives back what the relay has, when nobody is left.
func (r *relay) close() {
	if r.notifier != nil {
		r.notifier.Close()
	}
}
