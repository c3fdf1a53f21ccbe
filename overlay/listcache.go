package overlay

import (
	"container/list"
	"sync"
	"unsafe"
)

// listCacheBytes bounds the listings that are kept; one alone may be larger.
const listCacheBytes = 14 << 20

// listCache forgets the listings that were not used for longest.
type listCache struct {
	mu    sync.Mutex
	order list.List // of listUse, the most recently used last
	at    map[*node]*list.Element
	bytes int
}

type listUse struct {
	dir   *node
	bytes int
}

// listOverhead is what a listing costs besides its entries and names.
const listOverhead = 256

func (l *listing) bytes() int {
	n := listOverhead + len(l.entries)*int(unsafe.Sizeof(listEntry{}))
	for _, block := range l.names {
		n += len(block)
	}
	return n
}

// touch notes that a directory's listing is in use.
func (c *listCache) touch(d *node, l *listing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = make(map[*node]*list.Element)
	}
	c.drop(d)
	c.at[d] = c.order.PushBack(listUse{d, l.bytes()})
	c.bytes += l.bytes()
	for c.bytes > listCacheBytes && c.order.Len() > 1 {
		oldest := c.order.Front().Value.(listUse).dir
		c.drop(oldest)
		oldest.dir.list.Store(nil)
	}
}

// forget drops the listing of a directory that is gone.
func (c *listCache) forget(d *node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(d)
}

func (c *listCache) drop(d *node) {
	if e := c.at[d]; e != nil {
		c.bytes -= c.order.Remove(e).(listUse).bytes
		delete(c.at, d)
	}
}
