package overlay

import (
	"time"
)

// Nodes are a cache: what the journal says of an object is all that is needed to make its
// node again. A node may go when nobody has it in hand, the journal has its places, no
// node in memory has a place in it, and it says nothing that is not on disk. Its shard is
// locked then, so that whoever looks for it next makes another.

const (
	// sweepSample is of how many nodes the one goes that was not used for longest.
	sweepSample = 8
	// sweepShare is how many nodes there may be for each one more than there should be:
	// then as many go at once.
	sweepShare = 64
	// settleTime is how long a directory whose times are counted in memory stays; see
	// coarse.go.
	settleTime = 2 * time.Second
)

// sweep evicts nodes when there are too many. Where calls that take long keep them all in
// hand, there may be more for that time.
func (fs *FS) sweep() {
	t := fs.nodes
	slack := t.limit / sweepShare
	if t.count.Load() <= t.limit+slack || fs.journal == nil || !t.sweeping.TryLock() {
		return
	}
	defer t.sweeping.Unlock()
	fs.journal.asked.Store(true)
	t.advance()
	for range 2*slack + tableShards {
		if t.count.Load() <= t.limit {
			return
		}
		fs.evictFrom(&t.shards[t.hand])
		t.hand = (t.hand + 1) % tableShards
	}
}

// evictFrom evicts one node of a shard, if one can go.
func (fs *FS) evictFrom(s *tableShard) {
	s.mu.Lock()
	n := fs.victim(s)
	unkept := n != nil && n.unkept.Load()
	if n != nil && !unkept {
		delete(s.m, n.id)
	}
	s.mu.Unlock()
	switch {
	case n == nil:
	case unkept:
		fs.keepNames(n)
	default:
		fs.nodes.count.Add(-1)
		fs.letGo(n)
	}
}

// victim gives the node of a few that was not used for longest, or nil. Which ones are
// looked at is left to the order of the map, which is another each time.
func (fs *FS) victim(s *tableShard) (oldest *node) {
	looked := 0
	for _, n := range s.m {
		if (oldest == nil || n.used.Load() < oldest.used.Load()) && fs.canGo(n) {
			oldest = n
		}
		if looked++; looked == sweepSample {
			break
		}
	}
	return oldest
}

// canGo reports whether a node can be evicted once the journal has its places.
func (fs *FS) canGo(n *node) bool {
	if n.inHand(fs.nodes.turn.Load()) || n.miscounted.Load() || n == fs.root {
		return false
	}
	if n.isDir() {
		return n.dir.canGo()
	}
	return fs.silly.count.Load() == 0 || !n.in(fs.silly.dir)
}

func (d *dirState) canGo() bool {
	if d.children.Load() != 0 || d.below.building.Load() {
		return false
	}
	if t := d.changed.Load(); t != nil && time.Since(time.Unix(t.Sec, 0)) < settleTime {
		return false
	}
	// The times of a merged directory may be raised: see floor.
	s := d.stack.Load()
	return s == nil || len(s.parts) == 1 && s.floor == nil
}

// in reports whether an object has a place in a directory.
func (n *node) in(d *node) bool {
	for p := n.places.Load(); p != nil; p = p.next {
		if p.parent == d {
			return true
		}
	}
	return false
}

// letGo frees what an evicted node holds.
func (fs *FS) letGo(n *node) {
	if n.isDir() {
		fs.lists.forget(n)
		fs.setBelow(n, nil)
		n.dropParts()
	} else {
		n.file.drop()
	}
	fs.nodes.dropPlaces(n)
}
