package overlay

import "sync"

// numberLocks are locks of objects by their numbers, of which there are as many as are held.
type numberLocks struct {
	mu   sync.Mutex
	held map[uint64]*numberLock
}

type numberLock struct {
	mu    sync.Mutex
	users int
}

// lock gives the function that unlocks.
func (l *numberLocks) lock(number uint64) (unlock func()) {
	l.mu.Lock()
	m := l.held[number]
	if m == nil {
		if l.held == nil {
			l.held = make(map[uint64]*numberLock)
		}
		m = new(numberLock)
		l.held[number] = m
	}
	m.users++
	l.mu.Unlock()
	m.mu.Lock()
	return func() {
		m.mu.Unlock()
		l.mu.Lock()
		if m.users--; m.users == 0 {
			delete(l.held, number)
		}
		l.mu.Unlock()
	}
}
