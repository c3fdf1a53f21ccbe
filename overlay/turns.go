package overlay

import "sync/atomic"

// A call may hold pointers to nodes as long as it is under way, and need not say which. So
// that a node is not evicted under its hands, time is counted in turns: a call is
// counted in the turn in which it begins, and turn N+1 does not begin before the last
// call of turn N-1 has ended. All calls under way are of this turn, then, or of the one
// before; and a node that nobody came by since is in nobody's hands. (Linux's SRCU counts
// its readers in the same way.) The counters are in the shards of the node table, which a
// call touches anyway.

// firstTurn leaves room for turns before it, in which no node was used.
const firstTurn = 2

// enter counts a call that begins with an object; leave ends it.
func (fs *FS) enter(id ID) *atomic.Int64 {
	t := fs.nodes
	s := t.shard(id.Fileid)
	for {
		turn := t.turn.Load()
		under := &s.under[turn%2]
		under.Add(1)
		if t.turn.Load() == turn {
			return under
		}
		under.Add(-1) // it came too late to be counted there
	}
}

func leave(under *atomic.Int64) { under.Add(-1) }

// advance begins the next turn, if it can. It is for who holds t.sweeping.
func (t *nodeTable) advance() {
	turn := t.turn.Load()
	for i := range t.shards {
		if t.shards[i].under[(turn+1)%2].Load() != 0 {
			return
		}
	}
	t.turn.Store(turn + 1)
}

// stamp notes that somebody came by a node.
func (n *node) stamp(turn uint64) {
	for used := n.used.Load(); used < turn; used = n.used.Load() {
		if n.used.CompareAndSwap(used, turn) {
			return
		}
	}
}

// inHand reports whether a call under way may hold a node.
func (n *node) inHand(turn uint64) bool { return n.used.Load()+2 > turn }
