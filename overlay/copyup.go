package overlay

import "syscall"

// copyUp makes sure that an object is in the upper, its directories first. What
// is half made is in the work directory; the name appears by one rename.
func (fs *FS) copyUp(c Caller, n *node) error {
	if !fs.marked {
		return nil
	}
	up, err := fs.isUp(n)
	if err != nil || up {
		return err
	}
	if !c.MayBlock {
		return ErrWouldBlock
	}
	end, err := fs.copies.begin(c, n)
	if err != nil {
		return err
	}
	defer end()
	for range maxRetries {
		if up, err := fs.isUp(n); err != nil || up {
			return err
		}
		p := n.places.Load()
		if p == nil || p.parent == nil {
			return syscall.ESTALE
		}
		if err := fs.copyUp(c, p.parent); err != nil {
			return err
		}
		if err := fs.copyPlace(n, p); err != syscall.ESTALE {
			return err
		}
	}
	return syscall.ESTALE
}

// isUp reports whether an object is in the upper.
func (fs *FS) isUp(n *node) (bool, error) {
	if n.isDir() {
		s, err := fs.stackOf(n)
		return err == nil && s.parts[0].layer == 0, err
	}
	p := n.places.Load()
	if p == nil {
		return false, syscall.ESTALE
	}
	return p.layer == 0, nil
}

// copyPlace copies up the object at a place. ESTALE says that it is not there
// any more.
func (fs *FS) copyPlace(n *node, p *place) error {
	from, err := fs.dirFD(p.parent, p.layer)
	if err != nil {
		return err
	}
	defer from.release()
	work, err := fs.dirFD(fs.work, 0)
	if err != nil {
		return err
	}
	defer work.release()
	var st sysStat
	name, err := fs.onDisk(p.layer, from.fd, cString(p.name))
	if err != nil {
		return gone(err)
	}
	if err := sysStatAt(from.fd, name, &st); err != nil {
		return gone(err)
	}
	if err := fs.verifyStat(n, from.fd, p, &st); err != nil {
		return err
	}
	tmp := cString(fs.tmpName())
	c := copier{fs: fs, from: from.fd, name: name, work: work.fd, tmp: tmp, st: &st}
	marked, err := c.copy(n.id)
	if err == nil {
		err = fs.publish(n, p, work.fd, tmp, &st, marked)
	}
	if err != nil {
		_ = fs.discard(work.fd, tmp)
		return err
	}
	fs.tallies.copiedUp(&st)
	return nil
}

// publish gives a copy its name in the upper, if the original still has it, and
// makes it the object that clients know.
func (fs *FS) publish(n *node, p *place, work int, tmp *byte, st *sysStat, marked bool) error {
	d := p.parent
	d.mu.Lock()
	defer d.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	several := st.nlink > 1 && !n.isDir()
	if several {
		defer fs.counts.lock(n.id.Fileid)()
	}
	if err := fs.stillThere(n, p); err != nil {
		return err
	}
	var copied sysStat
	if err := sysStatAt(work, tmp, &copied); err != nil {
		return err
	}
	found, hidden := fs.identity(0, &copied), fs.hidden.get(n.id)
	if !marked {
		fs.keepOrigin(found, n.id)
	}
	var err error
	if several {
		links := int32(st.nlink) - hidden
		defer countNote{n.id, true, links, links - 1}.make(fs, d, cString(p.name))()
		err = fs.addIndex(n, work, tmp, st)
	}
	if err == nil {
		err = fs.putInUpper(d, work, tmp, cString(p.name))
	}
	if err != nil {
		fs.dropIndex(n, hidden)
		if !marked {
			fs.dropOrigin(found)
		}
		return err
	}
	if several {
		n.linkDelta.Store(int32(st.nlink) - hidden - 2) // the names below, less the index's
		fs.name(n, fs.index, []byte(indexName(n.id)), 0)
	}
	fs.nowUp(n, p, found)
	return nil
}

// stillThere reports ESTALE when a name does not show a lower object any more: it
// was renamed, or replaced behind our back. It is for who holds the directory's mu.
func (fs *FS) stillThere(n *node, p *place) error {
	if n.hasPlace(p.parent, []byte(p.plain())) == nil {
		return syscall.ESTALE
	}
	var f found
	if err := fs.find(p.parent, cString(p.name), &f); err != nil {
		return gone(err)
	}
	if f.layer != p.layer || fs.identity(f.layer, &f.st) != n.id {
		return syscall.ESTALE
	}
	return nil
}

// dropIndex takes back what addIndex did; hidden is what was counted before.
func (fs *FS) dropIndex(n *node, hidden int32) {
	if !fs.indexed.has(n.id) {
		return
	}
	fs.unindex(n)
	if fs.keepCount(n.id, hidden) != nil {
		n.miscounted.Store(true)
	}
}

// nowUp makes the node stand for the copy.
func (fs *FS) nowUp(n *node, p *place, found ID) {
	n.setBehind(found)
	fs.name(n, p.parent, []byte(p.plain()), 0)
	if n.isDir() {
		if s := n.dir.stack.Load(); s != nil {
			parts := append([]stackPart{{dir: new(partDir)}}, s.parts...)
			n.dir.stack.Store(s.with(parts))
		}
	} else {
		// After the place: who still opens the lower file sees it, and does not cache that.
		n.file.drop()
	}
}

// putInUpper renames a copy into the upper. The directory's mode may forbid its
// owner to write there, and its times must not show that anything happened.
func (fs *FS) putInUpper(d *node, work int, tmp, name *byte) error {
	if err := fs.keepCopiedName(name); err != nil {
		return err
	}
	dir, err := fs.dirFD(d, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	var st sysStat
	if err := sysFstat(dir.fd, &st); err != nil {
		return err
	}
	put := func() error {
		if err := fs.markImpure(d, dir.fd); err != nil {
			return err
		}
		return sysRenameAt(work, tmp, dir.fd, name)
	}
	intoClosed := func() error { return fs.ifAllowed(dir.fd, &dotName[0], 0o700, put) }
	// A directory that gets another parent has to be writable too.
	if err = fs.ifAllowedTo(work, tmp, dir.fd, name, 0o700, intoClosed); err != nil {
		return err
	}
	_ = dirTarget(dir.fd).setTimes(&st) // the name is there: it is too late to fail
	return nil
}

// hold makes the directory ready to get a name of n: a listing has to know whether
// fileids from before a copy-up are inside.
func (in *names) hold(n *node) error {
	if !in.fs.marked || n.behind() == n.id {
		return nil
	}
	return in.fs.markImpure(in.node, in.dir.fd)
}

// markImpure marks a directory as one that holds objects with an origin.
func (fs *FS) markImpure(d *node, fd int) error {
	s, err := fs.stackOf(d)
	if err != nil || s.parts[0].impure {
		return err
	}
	if err := setDirMark(fd, &dotName[0], markImpure, "y"); err != nil {
		return err
	}
	d.restack(s, func(p *stackPart) { p.impure = true })
	return nil
}

// addIndex links a copy of a lower file with several names into the index. Nobody knows of it
// before the copy is in its place.
func (fs *FS) addIndex(n *node, work int, tmp *byte, st *sysStat) error {
	index, err := fs.dirFD(fs.index, 0)
	if err != nil {
		return err
	}
	defer index.release()
	name := indexName(n.id)
	var c cName
	links := int32(st.nlink) - 1 - fs.hidden.get(n.id)
	noted, err := fs.setLowerLinks(work, tmp, links)
	if err != nil {
		return err
	}
	_ = sysUnlinkAt(index.fd, c.set([]byte(name)), 0) // of a copy-up that was cut short
	if err := sysLinkAt(work, tmp, index.fd, c.set([]byte(name))); err != nil {
		return err
	}
	fs.indexed.add(n.id)
	if !noted {
		return fs.keepCount(n.id, links)
	}
	fs.dropHidden(n.id)
	return nil
}

// setLowerLinks notes on a copy how many names of it lower layers still show, where it
// can carry the note.
func (fs *FS) setLowerLinks(fd int, name *byte, links int32) (noted bool, err error) {
	err = fs.ifAllowed(fd, name, 0o600, func() error { return writeLowerLinks(fd, name, links) })
	if err != nil && noMark(err) {
		return false, nil
	}
	return err == nil, err
}

// lostLower counts down the names that lower layers show of a file that has, or
// had there, several. A count that cannot be kept is off by one after the next start.
func (fs *FS) lostLower(n *node, f *found) {
	if f.layer == 0 || !fs.marked || n.isDir() {
		return
	}
	if !fs.indexed.has(n.id) {
		if f.st.nlink > 1 {
			_ = fs.hideName(n)
		}
		return
	}
	if fs.keepLinks(n.id, n.linkDelta.Add(-1)+1) != nil {
		n.miscounted.Store(true)
	}
}

// unindex removes a file that has lost all its names from the index.
func (fs *FS) unindex(n *node) {
	index, err := fs.dirFD(fs.index, 0)
	if err != nil {
		return
	}
	defer index.release()
	var c cName
	_ = sysUnlinkAt(index.fd, c.set([]byte(indexName(n.id))), 0)
	fs.indexed.remove(n.id)
	fs.dropHidden(n.id)
}
