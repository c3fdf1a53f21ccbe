package overlay

import (
	"errors"
	"slices"
	"syscall"
)

// found is what a name in a directory stands for.
type found struct {
	st    sysStat
	layer int
	// whiteout says that the upper hides the name.
	whiteout bool
	// silly says that no layer has the name, but a client's open file.
	silly bool
	// id is what clients know it by, once somebody meets it.
	id ID
	// changes is what the journal had counted before it was asked for the object.
	changes uint32
}

// find looks a name up in a directory's layers, from the top. It does so again where the
// directory came to hold whiteouts meanwhile: what was found can be one.
func (fs *FS) find(d *node, name *byte, f *found) error {
	for {
		s, err := fs.stackOf(d)
		if err != nil {
			return err
		}
		if err = fs.findFrom(d, s, name, f); d.dir.stack.Load() == s {
			return err
		}
	}
}

func (fs *FS) findFrom(d *node, s *stack, name *byte, f *found) error {
	f.whiteout, f.silly = false, false
	first := 0 // of the lower layers that can have the name
	for i := range s.parts {
		part := &s.parts[i]
		if first == 0 && part.layer != 0 {
			first = fs.firstBelow(d, s, name)
		}
		if part.layer != 0 && part.layer < first {
			continue
		}
		err := fs.findIn(d, part, name, f)
		if err == syscall.ENOENT && !f.whiteout || s.lost(i, err) {
			continue
		}
		f.layer = part.layer
		return err
	}
	return syscall.ENOENT
}

func (fs *FS) findIn(d *node, part *stackPart, name *byte, f *found) error {
	dir, err := fs.partDir(d, part)
	if err != nil {
		return err
	}
	defer dir.release()
	if name, err = fs.onDisk(part.layer, dir.fd, name); err != nil {
		return err
	}
	if err := sysStatAt(dir.fd, name, &f.st); err != nil {
		return err
	}
	if err := fs.exactly(part.dir.spelt, dir.fd, name); err != nil {
		return err
	}
	hidden, err := fs.hides(part, dir.fd, name, &f.st)
	if hidden {
		f.whiteout = true
		return syscall.ENOENT
	}
	return err
}

// showsThrough reports whether a lower layer has the name, so that its removal
// from the upper needs a whiteout.
func (fs *FS) showsThrough(d *node, name *byte) (bool, error) {
	if !fs.marked {
		return false, nil
	}
	var f found
	err := fs.findBelow(d, name, &f)
	if err == syscall.ENOENT {
		return false, nil
	}
	return err == nil, err
}

// findBelow looks a name up in a directory's layers under the upper.
func (fs *FS) findBelow(d *node, name *byte, f *found) error {
	s, err := fs.stackOf(d)
	if err != nil {
		return err
	}
	for i := range s.parts {
		if s.parts[i].layer == 0 {
			continue
		}
		*f = found{layer: s.parts[i].layer}
		err := fs.findIn(d, &s.parts[i], name, f)
		if err == syscall.ENOENT && !f.whiteout || s.lost(i, err) {
			continue
		}
		return err
	}
	return syscall.ENOENT
}

// lookup gives the object that a name stands for, and its attributes.
func (fs *FS) lookup(c Caller, d *node, name []byte, st *sysStat) (*node, error) {
	for range maxRetries {
		n, err := fs.lookupOnce(c, d, name, st)
		if err != errReplaced {
			return n, err
		}
	}
	return nil, syscall.ESTALE
}

// errReplaced says that a name was removed, or stands for another object, since it
// was found.
var errReplaced = errors.New("name was replaced")

func (fs *FS) lookupOnce(c Caller, d *node, name []byte, st *sysStat) (*node, error) {
	var cn cName
	var f found
	var n *node
	err := fs.find(d, cn.set(name), &f)
	if err == nil {
		n, err = fs.meet(c, d, name, &f, false)
	} else {
		n, err = fs.findSilly(d, name, &f, err)
	}
	if err == nil {
		*st = f.st
	}
	return n, err
}

// lookupLocked is lookup for who holds d.mu.
func (fs *FS) lookupLocked(d *node, name []byte, f *found) (*node, error) {
	var c cName
	if err := fs.find(d, c.set(name), f); err != nil {
		return fs.findSilly(d, name, f, err)
	}
	return fs.meet(Caller{}, d, name, f, true)
}

// meet gives the node of what was found under a name and makes it known there. Without
// the directory's lock it can give errReplaced.
func (fs *FS) meet(c Caller, d *node, name []byte, f *found, locked bool) (*node, error) {
	if err := fs.identify(d, name, f); err != nil {
		if err == syscall.ESTALE && !locked {
			err = errReplaced
		}
		return nil, err
	}
	n, err := fs.known(f.id)
	if err != nil {
		return nil, err
	}
	return fs.meetKnown(c, n, d, name, f, locked)
}

// identify gives f its id. Who looks for the object after that sees in greet whether the
// journal came to know of it meanwhile.
func (fs *FS) identify(d *node, name []byte, f *found) (err error) {
	if f.id, err = fs.idOf(d, name, f); err == nil {
		f.changes = fs.journal.changed(f.id)
	}
	return err
}

// meetKnown is meet for who has the node of what was identified; nil: there was none.
func (fs *FS) meetKnown(c Caller, n, d *node, name []byte, f *found, locked bool) (_ *node, err error) {
	if n != nil {
		if err := fs.settlePlaces(n); err != nil {
			return nil, err
		}
	}
	if n == nil || n.typ != f.st.typ() {
		n, err = fs.greet(c, d, name, f, locked)
	} else if n.hasPlace(d, name) == nil {
		err = fs.meetAgain(c, n, d, name, f, locked)
	}
	if err != nil {
		return nil, err
	}
	if err = fs.follow(n, f); err == syscall.ESTALE && !locked {
		err = errReplaced // the last name went
	}
	return n, err
}

// idOf gives the ID that clients know what was found by.
func (fs *FS) idOf(d *node, name []byte, f *found) (ID, error) {
	id := fs.identity(f.layer, &f.st)
	if f.layer != 0 || !fs.marked {
		return id, nil
	}
	if known, ok := fs.origins.get(id); ok {
		return known, nil
	}
	dir, err := fs.dirFD(d, 0)
	if err != nil {
		return ID{}, err
	}
	defer dir.release()
	var c cName
	return fs.trueID(0, dir.fd, c.set(name), id)
}

// greet makes the node of an object that is met for the first time.
func (fs *FS) greet(c Caller, d *node, name []byte, f *found, locked bool) (*node, error) {
	n, made := fs.nodes.intern(f.id, f.st.typ(), newPlace(d, name, f.layer), fs.marked, func() bool {
		return fs.journal.changed(f.id) == f.changes
	})
	switch {
	case n == nil: // a listing has noted it meanwhile, by another name perhaps
		return fs.meet(c, d, name, f, locked)
	case made:
		err := fs.introduce(n, d, name, f)
		fs.sweep()
		if err == nil && f.layer != 0 && !locked && fs.metTooLate(n, d, name, f) {
			fs.retract(n, d, name, f.layer)
			err = errReplaced
		}
		return n, err
	}
	// Another was faster, perhaps under another name.
	if err := fs.settlePlaces(n); err != nil {
		return nil, err
	}
	if n.hasPlace(d, name) == nil {
		return n, fs.meetAgain(c, n, d, name, f, locked)
	}
	return n, nil
}

// introduce completes a node that was just made. Who comes by it meanwhile waits in
// settlePlaces: without what the index knows of its links it cannot be told whether a name is
// the last.
func (fs *FS) introduce(n, d *node, name []byte, f *found) error {
	fs.keepName(n, d, name)
	if f.layer == 0 {
		n.setBehind(fs.identity(0, &f.st))
	}
	if !fs.marked {
		return nil
	}
	defer n.settling.Unlock()
	err := fs.attachLinks(n)
	n.loose.Store(err != nil)
	return err
}

// metTooLate reports whether a name that was found in a lower layer was removed since:
// it must not come back.
func (fs *FS) metTooLate(n, d *node, name []byte, f *found) bool {
	if fs.stillBelow(d, name, f.layer) {
		return false
	}
	p := n.hasPlace(d, name) // copied up or renamed since, it has another
	return p != nil && p.layer == f.layer
}

// stillBelow reports whether a directory still shows a lower layer's name: only the upper
// can have come to hide it.
func (fs *FS) stillBelow(d *node, name []byte, layer int) bool {
	s, err := fs.stackOf(d)
	if err != nil || !slices.ContainsFunc(s.parts, func(p stackPart) bool { return p.layer == layer }) {
		return false
	}
	if s.parts[0].layer != 0 {
		return true
	}
	var c cName
	var now found
	return fs.findIn(d, &s.parts[0], c.set(name), &now) == syscall.ENOENT && !now.whiteout
}

// meetAgain makes one more name of a known object known. The name is looked at
// again under the directory's lock, which c may have to wait for: without it the object
// could have been renamed since, and would be given a name that it has lost.
func (fs *FS) meetAgain(c Caller, n, d *node, name []byte, f *found, locked bool) error {
	if !locked {
		if err := acquire(c, &d.mu); err != nil {
			return err
		}
		defer d.mu.Unlock()
		var cn cName
		was := fs.identity(f.layer, &f.st)
		if err := fs.find(d, cn.set(name), f); err != nil {
			return err
		}
		if fs.identity(f.layer, &f.st) != was {
			return errReplaced
		}
	}
	fs.name(n, d, name, f.layer)
	return nil
}

// follow replaces the attributes found by those of the copy, when the name is
// one of a lower file that was copied up by another of its names.
func (fs *FS) follow(n *node, f *found) error {
	p := n.places.Load()
	if f.layer == 0 || n.isDir() || p == nil || p.layer != 0 {
		return nil
	}
	return fs.stat(n, &f.st)
}

// attachLinks gives a file with several lower names what the index knows of them.
func (fs *FS) attachLinks(n *node) error {
	if !fs.marked || n.isDir() {
		return nil
	}
	// A node of the object that was just forgotten may still have the counts.
	defer fs.counts.lock(n.id.Fileid)()
	if fs.indexed.has(n.id) {
		return fs.attachIndex(n)
	}
	n.linkDelta.Store(-fs.hidden.get(n.id))
	return nil
}

// attachIndex gives a copied-up file that had several names its place in the
// index, and its count of links. It is for who holds the file's counts.
func (fs *FS) attachIndex(n *node) error {
	name := indexName(n.id)
	var c cName
	dir, err := fs.dirFD(fs.index, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	links, found, err := fs.readLowerLinks(dir.fd, c.set([]byte(name)))
	if err != nil {
		return err
	}
	n.setBehind(found)
	if links == 0 && !n.isRegular() { // which cannot say it itself
		links = fs.hidden.get(n.id)
	}
	n.linkDelta.Store(links - 1)
	fs.name(n, fs.index, []byte(name), 0)
	return nil
}

// Lookup gives the object called name in dir, "." and ".." included; above the
// root is the root. dirAttr is filled when hasDir.
func (fs *FS) Lookup(c Caller, dir ID, name []byte, child, dirAttr *Attr) (hasDir bool, err error) {
	defer leave(fs.enter(dir))
	d, err := fs.dirNode(dir)
	if err != nil {
		return false, err
	}
	var st sysStat
	if err := fs.stat(d, &st); err != nil {
		return false, err
	}
	fs.fill(d, &st, dirAttr)
	n := d
	switch {
	case string(name) == ".":
	case string(name) == "..":
		n = d.parent()
		err = fs.stat(n, &st)
	default:
		n, err = fs.lookup(c, d, fs.stored(name), &st)
	}
	if err != nil {
		return true, err
	}
	fs.fill(n, &st, child)
	return true, nil
}

// parent gives the directory that a directory is in; the root's is the root.
func (n *node) parent() *node {
	if p := n.places.Load(); p != nil && p.parent != nil {
		return p.parent
	}
	return n
}
