package overlay

import (
	"sync"
	"sync/atomic"
	"syscall"
)

// node is an object that a client has been told of. It stays the same object
// while it is renamed, linked and copied up.
type node struct {
	id ID
	// typ is the object's ModeType bits; they never change.
	typ uint32
	// backing is the identity of the file under it, where that is not id: after
	// copy-up. nil: id.
	backing atomic.Pointer[ID]
	// places are the object's known names; the first is used. nil: it is gone.
	places atomic.Pointer[place]
	// file is a cached descriptor for a regular file's data.
	file fileSlot
	// loose says that places come from the journal and their layers are unknown.
	loose atomic.Bool
	// mu is held while the object is changed, for a directory also while names
	// in it change, so that wcc_data is true.
	mu sync.Mutex
	// dir is what only a directory has.
	dir *dirState
	// linkDelta is what has to be added to the link count of the file under n: of
	// a copied-up file that had several names, the names still served from lower
	// directories, less the link in the index.
	linkDelta atomic.Int32
}

// dirState is what a directory's node has more than a file's.
type dirState struct {
	stack atomic.Pointer[stack]
	// list is the snapshot that READDIR pages through.
	list atomic.Pointer[listing]
	// listing is held while that is made, so that many who want it make it once.
	listing sync.Mutex
	// version counts the changes to the directory's names.
	version atomic.Uint64
	// changed is a time that says more than the file system keeps; see coarse.go.
	changed atomic.Pointer[Time]
	below   belowState
}

// stack says in which layers a directory exists, topmost first. It does not change.
type stack struct {
	parts []stackPart
	// redirect is the mark of the part in the upper; see readRedirect.
	redirect string
	// epoch counts the refreshes before it was found: a stack from before the last
	// one is looked for again.
	epoch uint64
	// steady says that it is a root's, which is not found by a name.
	steady bool
	// floor, where it is set, is what the directory's times are shown as at least.
	floor *floor
}

type stackPart struct {
	layer int
	// id and ctime are of the layer's directory when it was found: of one that
	// changed since, the merged names may have changed.
	id     ID
	ctime  Time
	unsure bool // it had changed just before
	// whiteouts says that the part may hold whiteouts: it is marked for them
	// (opaque=x), or is opaque itself (y).
	whiteouts bool
	// impure says that the part may hold objects with an origin.
	impure bool
	dir    *partDir
}

// place is a name of an object. Places are immutable; a node's form a list.
type place struct {
	parent *node
	name   string // ends in a NUL
	layer  int    // where the object is found under that name
	next   *place
}

func (p *place) plain() string { return p.name[:len(p.name)-1] }

func newNode(id ID, typ uint32) *node {
	n := &node{id: id, typ: typ}
	if typ == ModeDir {
		n.dir = new(dirState)
	}
	return n
}

func (n *node) isDir() bool { return n.dir != nil }

func (n *node) isRegular() bool { return n.typ == ModeRegular }

// behind is the identity of the file under n.
func (n *node) behind() ID {
	if b := n.backing.Load(); b != nil {
		return *b
	}
	return n.id
}

func (n *node) setBehind(id ID) {
	if id == n.id {
		n.backing.Store(nil)
		return
	}
	n.backing.Store(&id)
}

// hasPlace reports whether n is known to be called name in parent.
func (n *node) hasPlace(parent *node, name []byte) *place {
	for p := n.places.Load(); p != nil; p = p.next {
		if p.parent == parent && p.name[:len(p.name)-1] == string(name) {
			return p
		}
	}
	return nil
}

func newPlace(parent *node, name []byte, layer int) *place {
	return &place{parent: parent, name: string(name) + "\x00", layer: layer}
}

// tryPlaces calls f for the object's names until one does not give ESTALE. A rename
// makes the new name known before it is there, and unknown the old one after it
// went: an object of several names is gone only when none was met twice.
func (n *node) tryPlaces(f func(p *place) error) error {
	for twice := false; ; {
		head := n.places.Load()
		for p := head; p != nil; p = p.next {
			if err := f(p); err != syscall.ESTALE {
				return err
			}
		}
		if n.places.Load() != head {
			twice = false
			continue
		}
		if head == nil || head.next == nil || twice {
			return syscall.ESTALE
		}
		twice = true
	}
}

// addPlace makes a name known, as the first when it is in a higher layer.
func (n *node) addPlace(parent *node, name []byte, layer int) {
	p := newPlace(parent, name, layer)
	for {
		old := n.places.Load()
		p.next = old
		if n.hasPlace(parent, name) != nil { // a file can have thousands: copy only then
			p.next = old.without(parent, name)
		}
		head := p
		if p.next != nil && p.next.layer < layer {
			head = p.next.withLast(p)
		}
		if n.places.CompareAndSwap(old, head) {
			return
		}
	}
}

// dropPlace forgets a name and reports whether another is known.
func (n *node) dropPlace(parent *node, name []byte) bool {
	for {
		old := n.places.Load()
		rest := old.without(parent, name)
		if n.places.CompareAndSwap(old, rest) {
			return rest != nil
		}
	}
}

// without copies the list but for one name.
func (p *place) without(parent *node, name []byte) *place {
	if p == nil {
		return nil
	}
	rest := p.next.without(parent, name)
	if p.parent == parent && p.plain() == string(name) {
		return rest
	}
	return &place{parent: p.parent, name: p.name, layer: p.layer, next: rest}
}

// withLast copies the list and appends q.
func (p *place) withLast(q *place) *place {
	if p == nil {
		return &place{parent: q.parent, name: q.name, layer: q.layer}
	}
	return &place{parent: p.parent, name: p.name, layer: p.layer, next: p.next.withLast(q)}
}

// tableShards is a power of two.
const tableShards = 64

// nodeTable holds every node by its ID. Two can have one fileid: a file that was copied
// up keeps its own when the lower file is removed behind our back, and the lower's file
// system gives the number to another.
type nodeTable struct {
	shards [tableShards]tableShard
}

type tableShard struct {
	mu sync.RWMutex
	m  map[ID]*node
}

func newNodeTable() *nodeTable {
	t := new(nodeTable)
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
	s.mu.RUnlock()
	return n
}

// intern gives the node of an ID, and makes it with its first place where there
// is none. One of another type gives way: its inode is gone.
func (t *nodeTable) intern(id ID, typ uint32, at *place) (n *node, made bool) {
	if n := t.get(id); n != nil && n.typ == typ {
		return n, false
	}
	s := t.shard(id.Fileid)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.m[id]
	if old != nil && old.typ == typ {
		return old, false
	}
	if old != nil {
		old.places.Store(nil)
		old.file.drop()
	}
	n = newNode(id, typ)
	n.places.Store(at)
	s.m[id] = n
	return n, true
}

// remove forgets a node.
func (t *nodeTable) remove(n *node) {
	n.places.Store(nil)
	s := t.shard(n.id.Fileid)
	s.mu.Lock()
	if s.m[n.id] == n {
		delete(s.m, n.id)
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
	n := fs.nodes.get(id)
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

// len counts the nodes.
func (t *nodeTable) len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		n += len(s.m)
		s.mu.RUnlock()
	}
	return n
}
