package overlay

import (
	"sync"
	"sync/atomic"
	"syscall"
)

// tableShards is a power of two.
const tableShards = 64

// nodeTable holds the nodes in memory by their IDs. Two can have one fileid: a file that was
// copied up keeps its own when the lower file is removed behind our back, and the lower's file
// system gives the number to another.
type nodeTable struct {
	shards [tableShards]tableShard
	// turn counts up as calls end; see turns.go.
	turn atomic.Uint64
	// count is how many nodes there are, limit how many there should be, enough from
	// how many on to look for some to evict.
	count  atomic.Int64
	limit  int64
	enough atomic.Int64
	// sweeping is held by who evicts nodes, or needs them all to stay.
	sweeping sync.Mutex
	hand     int  // the shard that is to be swept next
	crowded  bool // it was told that there are many more than there should be
}

type tableShard struct {
	mu sync.RWMutex
	m  map[ID]*node
	// under counts the calls under way by the parity of the turn they began in.
	under [2]atomic.Int64
	// hits are reads and writes of files that were open.
	hits atomic.Uint64
}

func newNodeTable(limit int) *nodeTable {
	t := &nodeTable{limit: int64(limit)}
	if t.limit == 0 {
		t.limit = maxNodes
	}
	t.enough.Store(t.limit + t.limit/sweepShare)
	t.turn.Store(firstTurn)
	for i := range t.shards {
		t.shards[i].m = make(map[ID]*node)
	}
	return t
}

func (t *nodeTable) shard(fileid uint64) *tableShard { return &t.shards[fileid%tableShards] }

// get gives the node of an ID, or nil.
func (t *nodeTable) get(id ID) *node {
	s := t.shard(id.Fileid)
	s.mu.RLock()
	n := s.m[id]
	if n != nil {
		n.stamp(t.turn.Load())
	}
	s.mu.RUnlock()
	return n
}

// intern gives the node of an ID, and makes it with its first place where there
// is none, or gives nil where it may not. One that is made loose is being settled by the
// caller. One of another type gives way: its inode is gone.
func (t *nodeTable) intern(id ID, typ uint32, at *place, loose bool, may func() bool) (n *node, made bool) {
	if n := t.get(id); n != nil && n.typ == typ {
		return n, false
	}
	s := t.shard(id.Fileid)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.m[id]
	if old != nil && old.typ == typ {
		old.stamp(t.turn.Load())
		return old, false
	}
	if !may() {
		return nil, false
	}
	if old != nil {
		t.dropPlaces(old)
		old.file.drop()
		t.count.Add(-1)
	}
	n = newNode(id, typ)
	if loose {
		n.settling.Lock()
		n.loose.Store(true)
	}
	t.add(s, n, at)
	return n, true
}

// add puts a node in its shard, with its places.
func (t *nodeTable) add(s *tableShard, n *node, places *place) {
	n.stamp(t.turn.Load())
	n.places.Store(places)
	for p := places; p != nil; p = p.next {
		p.parent.dir.children.Add(1)
	}
	s.m[n.id] = n
	t.count.Add(1)
}

// remove forgets a node.
func (t *nodeTable) remove(n *node) {
	t.dropPlaces(n)
	s := t.shard(n.id.Fileid)
	s.mu.Lock()
	if s.m[n.id] == n {
		delete(s.m, n.id)
		t.count.Add(-1)
	}
	s.mu.Unlock()
}

// each calls f for every node.
func (t *nodeTable) each(f func(*node)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for _, n := range s.m {
			f(n)
		}
		s.mu.RUnlock()
	}
}

// node gives the object of an ID, or ESTALE.
func (fs *FS) node(id ID) (*node, error) {
	n, err := fs.known(id)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, syscall.ESTALE
	}
	if err := fs.settlePlaces(n); err != nil {
		return nil, err
	}
	if n.places.Load() == nil { // its other names are out of sight, under other layers
		return nil, syscall.ESTALE
	}
	return n, nil
}

// dirNode gives the directory of an ID.
func (fs *FS) dirNode(id ID) (*node, error) {
	n, err := fs.node(id)
	if err == nil && !n.isDir() {
		return nil, syscall.ENOTDIR
	}
	return n, err
}
