package overlay

// known gives the node of an ID, or nil where there is no such object. One that is
// not in memory is made again of what the journal says.
func (fs *FS) known(id ID) (*node, error) {
	n := fs.nodes.get(id)
	if n != nil || fs.journal == nil || !fs.journal.asked.Load() {
		return n, nil
	}
	l := loader{fs: fs}
	n, err := l.load(id, nil)
	fs.sweep()
	return n, err
}

// loader makes an object's node, and those of the directories above it.
type loader struct {
	fs *FS
	// late are places in directories for whose sake the objects were loaded: what was
	// moved behind the server makes directories lie in each other.
	late []latePlace
}

type latePlace struct {
	n    *node
	dir  ID
	name string
}

// loading are the objects that are being loaded, from the last on.
type loading struct {
	id ID
	by *loading
}

func (l *loading) has(id ID) bool {
	for ; l != nil; l = l.by {
		if l.id == id {
			return true
		}
	}
	return false
}

// load gives an object's node, or nil. What the journal says does not count where more
// was written meanwhile and the node is not in memory: the object may be gone.
func (l *loader) load(id ID, by *loading) (*node, error) {
	j := l.fs.journal
	for {
		changes := j.changed(id)
		t, err := j.recall(id)
		if err != nil {
			return nil, err
		}
		var places *place
		var late []toldPlace
		if t.knows() {
			if places, late, err = l.places(t, &loading{id, by}); err != nil {
				return nil, err
			}
		}
		n, ok := l.intern(id, t, places, changes)
		if !ok {
			continue
		}
		if n != nil {
			l.placeLate(n, late)
		}
		return n, nil
	}
}

// places gives an object's places, the newest first, less those in directories that are gone.
func (l *loader) places(t *told, by *loading) (first *place, late []toldPlace, err error) {
	for i := len(t.places) - 1; i >= 0; i-- {
		p := t.places[i]
		if by.by.has(p.dir) {
			late = append(late, p)
			continue
		}
		d, err := l.parent(p.dir, by)
		if err != nil {
			return nil, nil, err
		}
		if d != nil {
			first = &place{parent: d, name: p.name + "\x00", next: first}
		}
	}
	return first, late, nil
}

// parent gives the directory of a place, or nil; a zero ID stands for the index.
func (l *loader) parent(id ID, by *loading) (n *node, err error) {
	if id == (ID{}) {
		return l.fs.index, nil
	}
	if n = l.fs.nodes.get(id); n == nil {
		n, err = l.load(id, by)
	}
	if err != nil || n == nil || !n.isDir() {
		return nil, err
	}
	return n, nil
}

// intern puts a node in the table unless one is there. ok is false when more was written
// about the object since changes were counted.
func (l *loader) intern(id ID, t *told, places *place, changes uint32) (n *node, ok bool) {
	table := l.fs.nodes
	s := table.shard(id.Fileid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.m[id]; n != nil {
		n.stamp(table.turn.Load())
		return n, true
	}
	if l.fs.journal.changed(id) != changes {
		return nil, false
	}
	if !t.knows() {
		return nil, true
	}
	n = newNode(id, t.typ)
	n.loose.Store(l.fs.marked)
	if n.isDir() {
		n.dir.loaded = true
	}
	table.add(s, n, places)
	l.fs.tallies.loaded.Add(1)
	return n, true
}

// placeLate makes places known that an object was loaded without, once their directory is
// there.
func (l *loader) placeLate(n *node, late []toldPlace) {
	for _, p := range late {
		l.late = append(l.late, latePlace{n, p.dir, p.name})
	}
	for _, p := range l.late {
		if p.dir == n.id && n.isDir() {
			p.n.addPlace(n, []byte(p.name), 0)
		}
	}
}
