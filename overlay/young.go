package overlay

import (
	"sync"
	"time"
)

// clockTick is longer than what a coarse kernel clock stands still.
const clockTick = 20 * time.Millisecond

// youngFiles keeps the inodes of objects that were removed within the clock tick
// of their birth from being freed in it: their numbers could be given to new
// objects with the same time of birth, which could not be told apart.
type youngFiles struct {
	mu sync.Mutex
	// held came since the last sweep and older before it: those have been held for a tick
	// at the next.
	held, older []*openFile
	armed       bool
	closed      bool
}

func (y *youngFiles) hold(f *openFile) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.held = append(y.held, f)
	y.arm()
}

// arm is for who holds y.mu.
func (y *youngFiles) arm() {
	if !y.armed && !y.closed {
		y.armed = true
		time.AfterFunc(clockTick, y.sweep)
	}
}

func (y *youngFiles) sweep() {
	y.mu.Lock()
	done := y.older
	y.held, y.older, y.armed = nil, y.held, false
	if len(y.older) > 0 {
		y.arm()
	}
	y.mu.Unlock()
	for _, f := range done {
		f.release()
	}
}

func (y *youngFiles) closeAll() {
	y.mu.Lock()
	y.closed = true
	y.mu.Unlock()
	y.sweep()
	y.sweep()
}

// isYoung reports whether the clock may not have moved since a time of birth. Of
// an inode without one, the number does not come back.
func isYoung(gen uint64) bool { return gen != 0 && gen > uint64(time.Now().Add(-clockTick).UnixNano()) }

// pinYoung holds an object that is about to lose a name, its last perhaps, in the tick of its
// birth. What cannot be opened is not held: the removal is worth more.
func (fs *FS) pinYoung(n *node, dirfd int, name *byte, st *sysStat) {
	if !isYoung(st.gen) {
		return
	}
	f := fs.anyFile(n)
	if f == nil {
		fd, err := fs.openAt(dirfd, name, openPin, 0)
		if err != nil {
			return
		}
		f = newOpenFile(fd, false)
	}
	fs.young.hold(f)
}
