package nfs

import "sync"

// hurried is for how many calls that may take long another reads on at once, when one had to be
// waited for.
const hurried = 32

// bell rings when a call has arrived (readable.Bell).
type bell interface {
	Arm() bool
	Disarm()
	Close()
}

// relay has one goroutine of several read a connection at a time. One more waits to
// be the next: to start it takes longer than to wake it.
type relay struct {
	over chan error // gets why reading ended
	more func()     // starts a goroutine that takes the relay

	mu    sync.Mutex
	free  sync.Cond // nobody reads any more
	taken bool      // somebody reads, or reading has ended
	ended bool
	next  bool // somebody waits to read

	hang  func(ring func()) bell // makes bell, and gives nil where there can be none
	hung  bool                   // it was called
	bell  bell
	away  bool // who reads is with a call
	hurry int  // how often leave is refused yet
}

func newRelay(more func(), hang func(ring func()) bell) *relay {
	r := &relay{over: make(chan error, 1), more: more, hang: hang}
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

// pass has the next one read, or whoever takes it before that one is there.
func (r *relay) pass() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passOn()
}

func (r *relay) passOn() {
	r.taken = false
	if r.next {
		r.free.Signal()
	} else {
		r.more()
	}
}

// leave has the relay passed on as soon as a call arrives, until comeBack: to wake another up
// takes longer than many a call. It reports false when it is to be passed on now, since calls
// arrived lately while somebody was away.
func (r *relay) leave() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hurry > 0 {
		r.hurry--
		return false
	}
	if !r.hung {
		r.hung, r.bell = true, r.hang(r.ring)
	}
	r.away = r.bell != nil && r.bell.Arm()
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
	r.bell.Disarm()
	return true
}

// ring is for the bell to call.
func (r *relay) ring() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		r.away, r.hurry = false, hurried
		r.passOn()
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
	if r.bell != nil {
		r.bell.Close()
	}
}
