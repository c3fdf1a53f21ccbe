package overlay

import (
	"fmt"
	"os"
	"syscall"
)

// openState replays the journal and goes on with it.
func (fs *FS) openState(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	if err := fs.lock(dir); err != nil {
		return err
	}
	r := replayer{fs: fs, missing: map[ID][]waiting{}}
	j, err := openJournal(dir, fs.layers[0].path, r.replay, fs.dump)
	if err != nil {
		return err
	}
	fs.journal = j
	return nil
}

// replayer rebuilds the nodes from the journal. A rewritten journal can tell of
// a name before it tells of the directory that the name is in.
type replayer struct {
	fs      *FS
	missing map[ID][]waiting
}

type waiting struct {
	n    *node
	name string
}

func (p *replayer) replay(r *record) {
	switch r.op {
	case recPlace:
		p.place(r)
	case recUnname:
		if n, parent := p.fs.nodes.get(r.id), p.fs.nodes.get(r.other); n != nil && parent != nil {
			n.dropPlace(parent, r.name)
		}
	case recGone:
		if n := p.fs.nodes.get(r.id); n != nil && n != p.fs.root {
			p.fs.nodes.remove(n)
		}
	case recOrigin:
		p.fs.origins.keep(r.id, r.other)
	}
}

func (p *replayer) place(r *record) {
	if r.id == p.fs.root.id {
		return
	}
	n, made := p.fs.nodes.intern(r.id, r.typ, nil)
	n.loose.Store(p.fs.marked)
	parent := p.parent(r.other)
	if parent == nil {
		p.missing[r.other] = append(p.missing[r.other], waiting{n, string(r.name)})
	} else {
		n.addPlace(parent, r.name, 0)
	}
	if !made || n.typ != ModeDir {
		return
	}
	for _, w := range p.missing[r.id] {
		w.n.addPlace(n, []byte(w.name), 0)
	}
	delete(p.missing, r.id)
}

// parent finds a directory; a zero ID stands for the index.
func (p *replayer) parent(id ID) *node {
	if id == (ID{}) {
		return p.fs.index
	}
	if n := p.fs.nodes.get(id); n != nil && n.isDir() {
		return n
	}
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
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.loose.Load() {
		return nil
	}
	for p := n.places.Load(); p != nil; p = p.next {
		if p.parent == fs.index || p.parent == fs.silly.dir {
			continue
		}
		if err := fs.settlePlace(n, p); err != nil {
			return err
		}
	}
	n.loose.Store(false)
	return fs.attachLinks(n)
}

func (fs *FS) settlePlace(n *node, p *place) error {
	name := []byte(p.plain())
	var f found
	err := fs.find(p.parent, cString(p.name), &f)
	if err == nil {
		var id ID
		if id, err = fs.idOf(p.parent, name, &f); err == nil && id != n.id {
			err = syscall.ESTALE
		}
	}
	switch err {
	case nil:
		n.dropPlace(p.parent, name)
		n.addPlace(p.parent, name, f.layer)
		if f.layer == 0 {
			n.setBehind(fs.identity(0, &f.st))
		}
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ESTALE:
		n.dropPlace(p.parent, name)
	default:
		return err
	}
	return nil
}

// compact rewrites a journal that holds little of use.
func (fs *FS) compact() {
	if fs.journal.worn(fs.nodes.len) {
		fs.journal.rewrite()
	}
}

// dump gives the records that make the present state.
func (fs *FS) dump(put func(*record)) {
	fs.nodes.each(func(n *node) {
		for p := n.places.Load(); p != nil; p = p.next {
			if p.parent != nil && p.parent != fs.silly.dir { // those are found at the start
				put(&record{op: recPlace, typ: n.typ, id: n.id, other: p.parent.id, name: []byte(p.plain())})
			}
		}
	})
	fs.origins.eachKept(func(found, id ID) { put(&record{op: recOrigin, id: found, other: id}) })
}

// name makes a name of n known, for good.
func (fs *FS) name(n, parent *node, name []byte, layer int) {
	n.addPlace(parent, name, layer)
	fs.journal.add(record{op: recPlace, typ: n.typ, id: n.id, other: parent.id, name: name})
}

// unname forgets a name of n.
func (fs *FS) unname(n, parent *node, name []byte) {
	n.dropPlace(parent, name)
	fs.journal.add(record{op: recUnname, id: n.id, other: parent.id, name: name})
	fs.compact()
}

// forget forgets an object that is gone.
func (fs *FS) forget(n *node) {
	fs.nodes.remove(n)
	if n.isDir() {
		fs.lists.forget(n)
		fs.setBelow(n, nil)
	}
	fs.origins.forget(n.behind())
	fs.journal.add(record{op: recGone, id: n.id})
	fs.young.put(n)
	n.dropFile()
	fs.compact()
}
