package overlay

import (
	"sync"
	"sync/atomic"
	"syscall"
)

// node is an object that a client has been told of. It stays the same object
// while it is renamed, linked and copied up. There is never more than one of an object
// that anybody uses; see evict.go.
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
	// loose says that places come from the journal and their layers are unknown, or that it
	// is not known yet what the index says of the links.
	loose atomic.Bool
	// settling is held while it is found out where the places are and what the index says of
	// the links, which who is at another object can want while it holds that one's mu. No mu
	// is taken under it.
	settling sync.Mutex
	// mu is held while the object is changed, linked, or loses a name, so that it is known
	// which is the last; for a directory also while names in it change, so that wcc_data is
	// true.
	mu sync.Mutex
	// dir is what only a directory has.
	dir *dirState
	// linkDelta is what has to be added to the link count of the file under n: of
	// a copied-up file that had several names, the names still served from lower
	// directories, less the link in the index.
	linkDelta atomic.Int32
	// miscounted is set when linkDelta could not be noted on disk: the node is not evicted.
	miscounted atomic.Bool
	// used is the turn in which somebody came by the node last; see turns.go.
	used atomic.Uint64
	// unkept is set when the journal may not have all places, since it was full: the
	// node cannot be evicted.
	unkept atomic.Bool
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
	// changing counts the beginnings and the ends of such changes: it is odd during one. Who
	// finds it even, and the same after, knows that all names stood for what they do.
	changing atomic.Uint64
	// standing says more of the times than the file system keeps; see coarse.go.
	standing atomic.Pointer[standing]
	below    belowState
	// loaded says that the journal knew the directory.
	loaded bool
	// children counts the places in the directory that nodes in memory have.
	children atomic.Int32
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
	return n.places.Load().find(parent, name)
}

// find gives the place of a name, or nil.
func (p *place) find(parent *node, name []byte) *place {
	for ; p != nil; p = p.next {
		if p.parent == parent && p.name[:len(p.name)-1] == string(name) {
			break
		}
	}
	return p
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

// addPlace makes a name known, as the first when it is in a higher layer, and reports
// whether it was not known before.
func (n *node) addPlace(parent *node, name []byte, layer int) (isNew bool) {
	p := newPlace(parent, name, layer)
	for {
		old := n.places.Load()
		p.next = old
		isNew = old.find(parent, name) == nil
		if !isNew { // a file can have thousands: copy only then
			p.next = old.without(parent, name)
		}
		head := p
		if p.next != nil && p.next.layer < layer {
			head = p.next.withLast(p)
		}
		if n.places.CompareAndSwap(old, head) {
			if isNew {
				parent.dir.children.Add(1)
			}
			return isNew
		}
	}
}

// dropPlace forgets a name.
func (t *nodeTable) dropPlace(n, parent *node, name []byte) {
	for {
		old := n.places.Load()
		if old.find(parent, name) == nil {
			return
		}
		if n.places.CompareAndSwap(old, old.without(parent, name)) {
			t.orphan(parent)
			return
		}
	}
}

// dropPlaces forgets all names of an object that is gone, or not kept in memory.
func (t *nodeTable) dropPlaces(n *node) {
	for p := n.places.Swap(nil); p != nil; p = p.next {
		if p.parent != nil {
			t.orphan(p.parent)
		}
	}
}

// orphan counts a place in a directory that nobody finds any more. Whoever found it before
// can still be in the directory, which is not evicted before they have ended: they began
// in this turn at the latest, and so it is stamped only now.
func (t *nodeTable) orphan(dir *node) {
	dir.stamp(t.turn.Load())
	dir.dir.children.Add(-1)
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
