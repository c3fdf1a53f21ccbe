package overlay

import "sync"

// maxOrigins bounds the cache of origins; an entry is worth one getxattr.
const maxOrigins = 1 << 16

// originCache knows which ID an inode of the upper had before its copy-up, so
// that a look-up need not read an xattr each time. An inode's origin never
// changes once clients can see it.
type originCache struct {
	mu    sync.RWMutex
	cache map[ID]ID
	// kept are the origins of inodes that cannot carry a mark: Linux has user
	// xattrs on regular files and directories only. They are those of the index, and those
	// that the journal has no room for.
	kept map[ID]ID
}

func newOriginCache() *originCache {
	return &originCache{cache: make(map[ID]ID), kept: make(map[ID]ID)}
}

func (c *originCache) get(found ID) (ID, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if id, ok := c.cache[found]; ok {
		return id, true
	}
	id, ok := c.kept[found]
	return id, ok
}

func (c *originCache) put(found, id ID) {
	c.mu.Lock()
	if len(c.cache) >= maxOrigins {
		clear(c.cache)
	}
	c.cache[found] = id
	c.mu.Unlock()
}

func (c *originCache) keep(found, id ID) {
	c.mu.Lock()
	c.kept[found] = id
	c.mu.Unlock()
}

// forget drops an inode that is gone: its number can come back.
func (c *originCache) forget(found ID) {
	c.mu.Lock()
	delete(c.cache, found)
	delete(c.kept, found)
	c.mu.Unlock()
}
