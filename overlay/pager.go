package overlay

import (
	"sync/atomic"
	"syscall"
)

// Readdir gives the entries behind a cookie to emit until it returns false. A caller that must not
// wait gets them if they are few and the listing is in memory, else ErrWouldBlock.
func (fs *FS) Readdir(c Caller, dir ID, cookie uint64, attrs bool, dirAttr *Attr, emit func(*DirEntry) bool) (eof bool, err error) {
	defer leave(fs.enter(dir))
	d, err := fs.dirNode(dir)
	if err != nil {
		return false, err
	}
	if !c.MayBlock && !d.dir.soonListed(cookie) {
		return false, ErrWouldBlock
	}
	if _, err := fs.stackOf(d); err != nil { // which has a say in the times that are shown
		return false, err
	}
	var st sysStat
	if err := fs.stat(d, &st); err != nil {
		return false, err
	}
	fs.fill(d, &st, dirAttr)
	l, err := fs.listingOf(c, d, &st, cookie)
	if err != nil {
		return false, err
	}
	p := pager{fs: fs, c: c, d: d, self: dirAttr, l: l, attrs: attrs, emit: emit}
	return p.page(cookie)
}

// pager gives one page of a listing.
type pager struct {
	fs    *FS
	c     Caller
	d     *node
	self  *Attr // d's
	l     *listing
	attrs bool
	emit  func(*DirEntry) bool
	entry DirEntry
	attr  Attr
}

func (p *pager) page(cookie uint64) (eof bool, err error) {
	if cookie < cookieDot && !p.dot(".", cookieDot, p.d) {
		return false, nil
	}
	if cookie < cookieDotDot && !p.dot("..", cookieDotDot, p.d.parent()) {
		return false, nil
	}
	for i := p.l.after(max(cookie, cookieDotDot)); i < len(p.l.entries); i++ {
		e := &p.l.entries[i]
		fileid := atomic.LoadUint64(&e.fileid)
		if fileid == 0 {
			continue
		}
		if more, err := p.give(e, fileid); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

func (p *pager) dot(name string, cookie uint64, n *node) bool {
	p.entry = DirEntry{Name: []byte(name), Fileid: n.id.Fileid, Cookie: cookie}
	var st sysStat
	if p.attrs && n == p.d {
		p.attr = *p.self
		p.entry.Attr = &p.attr
	} else if p.attrs && p.fs.stat(n, &st) == nil {
		p.fs.fill(n, &st, &p.attr)
		p.entry.Attr = &p.attr
	}
	return p.emit(&p.entry)
}

func (p *pager) give(e *listEntry, fileid uint64) (more bool, err error) {
	name := p.l.name(e)
	shown, err := p.fs.shown(name)
	if err != nil || shown == nil {
		return err == nil, err
	}
	p.entry = DirEntry{Name: shown, Fileid: fileid, Cookie: e.cookie}
	if p.attrs {
		switch err := p.look(name); err {
		case syscall.ENOENT:
			return true, nil // removed behind the listing
		case ErrWouldBlock:
			return false, err
		case nil:
			p.entry.Attr, p.entry.Fileid = &p.attr, p.attr.ID.Fileid
		}
	}
	return p.emit(&p.entry), nil
}

// look finds out the attributes of what a name stands for, and makes its handle good.
func (p *pager) look(name []byte) error {
	var f found
	n, err := p.meetOrNote(name, &f)
	if err == errReplaced {
		n, err = p.fs.lookup(p.c, p.d, name, &f.st)
	}
	if err == nil && n != nil {
		p.fs.fill(n, &f.st, &p.attr)
	}
	return err
}

// meetOrNote gives the node of what a name stands for, or nil where the journal knows the
// object now and its attributes are found.
func (p *pager) meetOrNote(name []byte, f *found) (*node, error) {
	fs, d := p.fs, p.d
	var cn cName
	err := fs.find(d, cn.set(name), f)
	if err == nil {
		if err = fs.identify(d, name, f); err == syscall.ESTALE {
			err = errReplaced
		}
	}
	if err != nil {
		return nil, err
	}
	n := fs.nodes.get(f.id)
	if n == nil && fs.note(d, name, f) {
		fs.show(f.id, &f.st, -fs.hidden.get(f.id), &p.attr)
		return nil, nil
	}
	if n == nil {
		if n, err = fs.known(f.id); err != nil {
			return nil, err
		}
	}
	return fs.meetKnown(p.c, n, d, name, f, false)
}

// note sees to it that the journal knows what was found by its name, and reports whether it does
// and a node would say no more. So a listing makes no nodes: those of a large directory would have
// all others evicted, and each other too.
func (fs *FS) note(d *node, name []byte, f *found) bool {
	if fs.journal == nil || fs.marked && (f.st.isDir() || fs.indexed.has(f.id)) {
		return false
	}
	here, more := fs.journal.finds(f.id, d.id, name, f.st.typ())
	if here || more {
		return here
	}
	r := record{op: recPlace, only: true, typ: f.st.typ(), id: f.id, other: d.id, name: name}
	free := func() bool { return fs.nodes.get(f.id) == nil }
	// Who makes a node meanwhile without having read this sees in greet that there is something
	// to read, or has made it by now.
	return fs.journal.writeFirst(&r, f.changes, free) && free()
}
