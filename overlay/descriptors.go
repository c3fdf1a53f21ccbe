package overlay

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// openFile is a descriptor that several goroutines use. It is closed when the
// last of them and the cache have let it go.
type openFile struct {
	fd       int
	writable bool
	refs     atomic.Int32
	used     atomic.Bool // since the cache's hand passed
	// syncs is read-locked by each fsync of it.
	syncs sync.RWMutex
}

// waitForSyncs returns when those have ended that are under way.
func (f *openFile) waitForSyncs() {
	f.syncs.Lock()
	defer f.syncs.Unlock()
}

func newOpenFile(fd int, writable bool) *openFile {
	f := &openFile{fd: fd, writable: writable}
	f.refs.Store(1)
	return f
}

// release gives one reference back.
func (f *openFile) release() {
	if f.refs.Add(-1) == 0 {
		unix.Close(f.fd)
	}
}

// fileSlot is where an object keeps its cached descriptor.
type fileSlot struct{ p atomic.Pointer[openFile] }

// acquire gives the cached descriptor with a reference of the caller's, or nil.
func (s *fileSlot) acquire() *openFile {
	for {
		f := s.p.Load()
		if f == nil {
			return nil
		}
		n := f.refs.Load()
		if n == 0 {
			s.p.CompareAndSwap(f, nil)
			continue
		}
		if f.refs.CompareAndSwap(n, n+1) {
			if !f.used.Load() {
				f.used.Store(true)
			}
			return f
		}
	}
}

// drop empties the slot.
func (s *fileSlot) drop() {
	if f := s.p.Swap(nil); f != nil {
		f.release()
	}
}

// fileCache bounds how many slots hold a descriptor. Which one has to go is
// found by the clock algorithm, so that a hit costs no lock.
type fileCache struct {
	mu   sync.Mutex
	ring []cached
	hand int
}

type cached struct {
	slot *fileSlot
	file *openFile
}

func newFileCache(limit int) *fileCache { return &fileCache{ring: make([]cached, limit)} }

// put offers fd to the slot and returns what the slot holds then, with a
// reference of the caller's: another goroutine may have been faster.
func (c *fileCache) put(s *fileSlot, fd int, writable bool) *openFile {
	f := newOpenFile(fd, writable)
	f.refs.Store(2)
	for !s.p.CompareAndSwap(nil, f) {
		if other := s.acquire(); other != nil {
			unix.Close(fd)
			return other
		}
	}
	c.remember(s, f)
	return f
}

// replace puts fd in the slot, whatever was there, and returns it with a
// reference of the caller's.
func (c *fileCache) replace(s *fileSlot, fd int, writable bool) *openFile {
	f := newOpenFile(fd, writable)
	f.refs.Store(2)
	if old := s.p.Swap(f); old != nil {
		old.release()
	}
	c.remember(s, f)
	return f
}

func (c *fileCache) remember(s *fileSlot, f *openFile) {
	c.mu.Lock()
	at := c.victim()
	old := c.ring[at]
	c.ring[at] = cached{s, f}
	c.mu.Unlock()
	old.evict()
}

func (e cached) evict() {
	if e.slot != nil && e.slot.p.CompareAndSwap(e.file, nil) {
		e.file.release()
	}
}

// victim moves the hand to an entry that is free or was not used of late.
func (c *fileCache) victim() int {
	for range 2 * len(c.ring) {
		c.hand = (c.hand + 1) % len(c.ring)
		e := c.ring[c.hand]
		if e.slot == nil || e.slot.p.Load() != e.file || !e.file.used.Swap(false) {
			return c.hand
		}
	}
	return c.hand
}

// shrink closes what is cached: the answer to EMFILE.
func (c *fileCache) shrink() {
	c.mu.Lock()
	old := make([]cached, len(c.ring))
	copy(old, c.ring)
	clear(c.ring)
	c.mu.Unlock()
	for _, e := range old {
		e.evict()
	}
}
