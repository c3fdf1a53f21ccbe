package overlay

import (
	"fmt"
	"os"
	"slices"
	"syscall"
)

// openState opens the journal.
func (fs *FS) openState(o *Options) error {
	dir := o.State
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	if err := fs.lock(dir); err != nil {
		return err
	}
	j, err := openJournal(dir, fs.layers[0].path, o.segment, fs.dump)
	if err != nil {
		return err
	}
	fs.journal = j
	return nil
}

// settlePlaces finds out in which layers the places that the journal knew are
// now, those of the directories above first, and drops the ones that are gone.
func (fs *FS) settlePlaces(n *node) error { return fs.settleFrom(n, nil) }

// settleFrom is settlePlaces for who is about to settle those that asked. Where what was
// moved behind the server makes directories lie in each other, a place in one of them tells
// nothing new. No lock is held while those above are settled.
func (fs *FS) settleFrom(n *node, asked *asked) error {
	if !n.loose.Load() || asked.has(n) {
		return nil
	}
	for p := n.places.Load(); p != nil; p = p.next {
		if p.parent == nil || p.parent == fs.index || p.parent == fs.silly.dir {
			continue
		}
		if err := fs.settleFrom(p.parent, asked.and(n)); err != nil {
			return err
		}
	}
	n.settling.Lock()
	defer n.settling.Unlock()
	if !n.loose.Load() {
		return nil
	}
	err := fs.settle(n)
	if err == nil {
		err = fs.attachLinks(n)
	}
	n.loose.Store(err != nil)
	return err
}

// settle replaces an object's places by those that are there, all at once: a file can have
// thousands.
func (fs *FS) settle(n *node) error {
	for {
		old := n.places.Load()
		there, gone, err := fs.findPlaces(n, old)
		if err != nil {
			return err
		}
		if n.places.CompareAndSwap(old, there) {
			for _, p := range gone {
				fs.nodes.orphan(p.parent)
			}
			return nil
		}
	}
}

// findPlaces gives an object's places with the layers that they are in, and those that are
// gone. The first is in the highest layer that has one.
func (fs *FS) findPlaces(n *node, old *place) (first *place, gone []*place, err error) {
	var there []*place
	for p := old; p != nil; p = p.next {
		q, err := fs.findPlace(n, p)
		switch {
		case err != nil:
			return nil, nil, err
		case q == nil:
			gone = append(gone, p)
			continue
		}
		there = append(there, q)
		if q.layer < there[0].layer {
			there[0], there[len(there)-1] = q, there[0]
		}
	}
	for _, p := range slices.Backward(there) {
		p.next = first
		first = p
	}
	return first, gone, nil
}

// findPlace gives a place with the layer that it is in, or nil where it is gone.
func (fs *FS) findPlace(n *node, p *place) (*place, error) {
	q := &place{parent: p.parent, name: p.name, layer: p.layer}
	if p.parent == fs.index || p.parent == fs.silly.dir {
		return q, nil
	}
	var f found
	err := fs.find(p.parent, cString(p.name), &f)
	if err == nil {
		var id ID
		if id, err = fs.idOf(p.parent, []byte(p.plain()), &f); err == nil && id != n.id {
			err = syscall.ESTALE
		}
	}
	switch err {
	case nil:
		if q.layer = f.layer; f.layer == 0 {
			n.setBehind(fs.identity(0, &f.st))
		}
		return q, nil
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ESTALE:
		return nil, nil
	}
	return nil, err
}

// dump gives the records of what is in memory.
func (fs *FS) dump(put func(record)) {
	fs.nodes.each(func(n *node) {
		for p := n.places.Load(); p != nil; p = p.next {
			if fs.keeps(p) {
				put(n.placeRecord(p))
			}
		}
	})
}

// keeps reports whether the journal keeps a place. Silly ones are found at the start.
func (fs *FS) keeps(p *place) bool { return p.parent != nil && p.parent != fs.silly.dir }

func (n *node) placeRecord(p *place) record {
	return record{op: recPlace, typ: n.typ, id: n.id, other: p.parent.id, name: []byte(p.plain())}
}

// only gives the one place of an object that the journal keeps, or nil where there are more
// or none.
func (fs *FS) only(n *node) (one *place) {
	for p := n.places.Load(); p != nil; p = p.next {
		if !fs.keeps(p) {
			continue
		}
		if one != nil {
			return nil
		}
		one = p
	}
	return one
}

// name makes a name of n known, for good.
func (fs *FS) name(n, parent *node, name []byte, layer int) {
	if n.addPlace(parent, name, layer) {
		fs.keepName(n, parent, name)
	}
}

// keepName writes a name of n to the journal that is known. What n has for places is looked at
// when no other can write: others add theirs first, and write them later.
func (fs *FS) keepName(n, parent *node, name []byte) {
	kept := fs.journal.write(func() (record, int) {
		r := record{op: recPlace, typ: n.typ, id: n.id, other: parent.id, name: name}
		p := fs.only(n)
		r.only = p != nil && p.parent == parent && p.plain() == string(name)
		return r, 1
	})
	if !kept {
		n.unkept.Store(true)
	}
}

// keepNames writes the names of n to the journal that it had no room for once.
func (fs *FS) keepNames(n *node) {
	n.unkept.Store(false)
	for p := n.places.Load(); p != nil; p = p.next {
		if fs.keeps(p) {
			fs.keepName(n, p.parent, []byte(p.plain()))
		}
	}
}

// unname forgets a name of n.
func (fs *FS) unname(n, parent *node, name []byte) {
	fs.nodes.dropPlace(n, parent, name)
	fs.journal.write(func() (record, int) {
		if p := fs.only(n); p != nil { // which says it all
			r := n.placeRecord(p)
			r.only = true
			return r, -1
		}
		return record{op: recUnname, typ: n.typ, id: n.id, other: parent.id, name: name}, -1
	})
	fs.journal.compact()
}

// retract forgets a name of n that was found in a lower layer too early. The object can have
// other names by now, and that one too, in the upper.
func (fs *FS) retract(n, parent *node, name []byte, layer int) {
	for {
		old := n.places.Load()
		if p := old.find(parent, name); p == nil || p.layer != layer {
			return
		}
		if n.places.CompareAndSwap(old, old.without(parent, name)) {
			break
		}
	}
	fs.nodes.orphan(parent)
	fs.journal.write(func() (record, int) {
		if n.hasPlace(parent, name) != nil { // again, and written perhaps
			return record{op: recPlace, typ: n.typ, id: n.id, other: parent.id, name: name}, -1
		}
		return record{op: recUnname, typ: n.typ, id: n.id, other: parent.id, name: name}, -1
	})
}

// forget forgets an object that is gone. The journal does first: who would load the node
// sees that.
func (fs *FS) forget(n *node) {
	fs.journal.write(func() (record, int) {
		return record{op: recGone, typ: n.typ, id: n.id}, -n.countPlaces()
	})
	fs.nodes.remove(n)
	if n.isDir() {
		fs.lists.forget(n)
		fs.setBelow(n, nil)
	}
	fs.forgetOrigin(n)
	n.dropFile()
	fs.journal.compact()
}

func (n *node) countPlaces() (count int) {
	for p := n.places.Load(); p != nil; p = p.next {
		count++
	}
	return count
}

// keepOrigin notes the ID that a copy without marks has.
func (fs *FS) keepOrigin(found, id ID) {
	kept := fs.journal.write(func() (record, int) { return record{op: recOrigin, id: found, other: id}, 1 })
	if kept {
		fs.origins.put(found, id)
	} else {
		fs.origins.keep(found, id)
	}
}

// keptOrigin gives the ID that the journal knows an inode by.
func (fs *FS) keptOrigin(found ID) (id ID, ok bool, err error) {
	if fs.journal == nil || !fs.journal.origins.Load() {
		return id, false, nil
	}
	t, err := fs.journal.recall(found)
	if err != nil {
		return id, false, err
	}
	return t.origin, t.has, nil
}

// forgetOrigin forgets the inode of an object that is gone: its number can come back.
func (fs *FS) forgetOrigin(n *node) {
	found := n.behind()
	if found != n.id && !n.isRegular() && !n.isDir() {
		fs.dropOrigin(found)
	} else {
		fs.origins.forget(found)
	}
}

// dropOrigin takes back what keepOrigin did.
func (fs *FS) dropOrigin(found ID) {
	fs.origins.forget(found)
	fs.journal.write(func() (record, int) { return record{op: recGone, id: found}, -1 })
}
