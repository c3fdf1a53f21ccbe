package overlay

import (
	"fmt"
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
	// then as many go at once, or sweepMost times as many where there are still more.
	sweepShare = 64
	sweepMost  = 8
	// crowd is how many times as many nodes as there should be are worth to be told of.
	crowd = 4
	// settleTime is how long a directory whose changes are counted in memory stays; see
	// coarse.go.
	settleTime = 2 * time.Second
)

// sweep evicts nodes when there are too many. A call that takes long has all of them in hand
// that were used since it began: there may be more for that time, and it is tried again only
// when there are some more again.
func (fs *FS) sweep() {
	t := fs.nodes
	if t.count.Load() <= t.enough.Load() || fs.journal == nil || !t.sweeping.TryLock() {
		return
	}
	defer t.sweeping.Unlock()
	slack := t.limit / sweepShare
	if fs.journal.works() {
		fs.journal.asked.Store(true)
		t.advance()
		fs.evict(max(sweepMost*slack, tableShards))
	}
	t.enough.Store(max(t.count.Load(), t.limit) + slack)
	fs.tellCrowd()
}

// evict evicts nodes, so many at most, until there are no more than there should be. It gives
// up where it finds none that can go in any of the shards.
func (fs *FS) evict(most int64) {
	t := fs.nodes
	for misses := 0; most > 0 && misses < tableShards && t.count.Load() > t.limit; misses++ {
		if fs.evictFrom(&t.shards[t.hand]) {
			misses = -1
			most--
		}
		t.hand = (t.hand + 1) % tableShards
	}
}

// tellCrowd tells, once, of many more nodes than there should be.
func (fs *FS) tellCrowd() {
	t := fs.nodes
	n := t.count.Load()
	crowded := n > crowd*t.limit
	if crowded && !t.crowded && fs.warn != nil {
		fs.warn(fmt.Errorf("%d objects are kept in memory and not %d, as %s", n, t.limit, fs.whyCrowded()))
	}
	t.crowded = crowded || t.crowded && n > 2*t.limit
}

// whyCrowded tells what keeps nodes from being evicted.
func (fs *FS) whyCrowded() string {
	if err := fs.journal.trouble(); err != nil {
		return fmt.Sprintf("the state directory cannot keep what they are: %v", err)
	}
	return "a call has not ended for long: a disk may not answer"
}

// evictFrom evicts one node of a shard, if one can go.
func (fs *FS) evictFrom(s *tableShard) (evicted bool) {
	s.mu.Lock()
	n := fs.victim(s)
	unkept := n != nil && n.unkept.Load()
	standing := n != nil && n.isDir() && !fs.coarse && n.dir.standing.Load() != nil
	if n != nil && !unkept && !standing {
		delete(s.m, n.id)
	}
	s.mu.Unlock()
	switch {
	case n == nil:
		return false
	case unkept:
		fs.keepNames(n)
		return false
	case standing:
		fs.keepTimes(n)
		return false
	}
	fs.nodes.count.Add(-1)
	fs.letGo(n)
	return true
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
		s := n.dir.stack.Load()
		return n.dir.canGo() && (s == nil || fs.willRise(s))
	}
	return fs.silly.count.Load() == 0 || !n.in(fs.silly.dir)
}

func (d *dirState) canGo() bool {
	if d.children.Load() != 0 || d.below.building.Load() {
		return false
	}
	t := d.standing.Load()
	return t == nil || time.Since(time.Unix(t.shown.Sec, 0)) >= settleTime
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
