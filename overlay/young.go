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
	mu     sync.Mutex
	held   []*openFile
	armed  bool
	closed bool
}

// put holds what is cached of a removed object. An object as young as that was
// made by us just now, so its descriptor is cached but for the rarest case.
func (y *youngFiles) put(n *node) {
	if !isYoung(n.behind().Gen) {
		return
	}
	var f *openFile
	if n.dir == nil {
		f = n.file.take()
	} else if s := n.dir.stack.Load(); s != nil {
		f = s.parts[0].dir.take()
	}
	if f != nil {
		y.hold(f)
	}
}

func (y *youngFiles) hold(f *openFile) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.held = append(y.held, f)
	if !y.armed && !y.closed {
		y.armed = true
		time.AfterFunc(clockTick, y.sweep)
	}
}

func (y *youngFiles) sweep() {
	y.mu.Lock()
	held := y.held
	y.held, y.armed = nil, false
	y.mu.Unlock()
	for _, f := range held {
		f.release()
	}
}

func (y *youngFiles) closeAll() {
	y.mu.Lock()
	y.closed = true
	y.mu.Unlock()
	y.sweep()
}

// isYoung reports whether the clock may not have moved since a time of birth. Of
// an inode without one, the number does not come back.
func isYoung(gen uint64) bool { return gen != 0 && gen > uint64(time.Now().Add(-clockTick).UnixNano()) }

// pinYoung opens an object that is about to be removed in the tick of its birth
// and has no descriptor cached.
func (fs *FS) pinYoung(n *node, dirfd int, name *byte, st *sysStat) {
	if !isYoung(st.gen) {
		return
	}
	if f := fs.anyFile(n); f != nil {
		f.release()
		return
	}
	if fd, err := fs.openAt(dirfd, name, openPin, 0); err == nil {
		fs.young.hold(newOpenFile(fd, false))
	}
}
