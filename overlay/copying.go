package overlay

import (
	"sync"
	"syscall"
	"time"
)

// copyUps are the copy-ups under way, so that each object is copied up by one caller.
type copyUps struct {
	mu sync.Mutex
	of map[*node]*copying
}

type copying struct {
	since time.Time
	done  chan struct{}
}

// patience is how long after a copy-up's beginning a caller that comes again (Caller.Retries)
// still waits for its end. It is short: the server has few goroutines that may wait, and
// little memory for the WRITEs that all want the same file.
const patience = 250 * time.Millisecond

// begin makes the caller the one that copies an object up, after a wait for those
// before it; end says that it has. EAGAIN is for a caller that comes again.
func (u *copyUps) begin(c Caller, n *node) (end func(), err error) {
	for {
		mine := &copying{since: time.Now(), done: make(chan struct{})}
		other := u.enter(n, mine)
		if other == mine {
			return func() { u.leave(n, mine) }, nil
		}
		if !other.wait(c) {
			return nil, syscall.EAGAIN
		}
	}
}

// enter gives the copy-up of an object that is under way: mine where there was none.
func (u *copyUps) enter(n *node, mine *copying) *copying {
	u.mu.Lock()
	defer u.mu.Unlock()
	if other := u.of[n]; other != nil {
		return other
	}
	if u.of == nil {
		u.of = make(map[*node]*copying)
	}
	u.of[n] = mine
	return mine
}

func (u *copyUps) leave(n *node, mine *copying) {
	u.mu.Lock()
	delete(u.of, n)
	u.mu.Unlock()
	close(mine.done)
}

// wait reports false where the caller has to come again.
func (p *copying) wait(c Caller) bool {
	if !c.Retries {
		<-p.done
		return true
	}
	timer := time.NewTimer(patience - time.Since(p.since))
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}
