package overlay

import "syscall"

// raise makes sure that a name and what it stands for are in the upper, and can get
// another name: a directory shows the same under any.
func (fs *FS) raise(c Caller, d *node, name []byte) (*node, error) {
	var st sysStat
	n, err := fs.lookup(c, d, name, &st)
	if err != nil {
		return nil, err
	}
	if err := fs.copyUp(c, n); err != nil {
		return nil, err
	}
	if !n.isDir() {
		return n, fs.raiseName(c, d, n, name)
	}
	if err := fs.redirect(c, n); err != syscall.ENAMETOOLONG {
		return n, err
	}
	return n, fs.raiseInside(c, n)
}

// raiseInside copies up everything in a directory whose path is too long for a redirect,
// and cuts it off from the lower layers.
func (fs *FS) raiseInside(c Caller, n *node) error {
	if !c.MayBlock {
		return ErrWouldBlock
	}
	names, err := fs.children(n)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := fs.raise(c, n, []byte(name)); err != nil && err != syscall.ENOENT {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return fs.cutOff(n)
}

// raiseName links the copy of a file that had several names in a lower layer under
// one that is still found there.
func (fs *FS) raiseName(c Caller, d, n *node, name []byte) error {
	p := n.hasPlace(d, name)
	if p == nil || p.layer == 0 {
		return nil
	}
	if !c.MayBlock {
		return ErrWouldBlock
	}
	if err := fs.copyUp(c, d); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var f found
	m, err := fs.lookupLocked(d, name, &f)
	if err != nil || m != n || f.layer == 0 {
		return err
	}
	work, err := fs.dirFD(fs.work, 0)
	if err != nil {
		return err
	}
	defer work.release()
	tmp := cString(fs.tmpName())
	if err := fs.linkCopy(n, work.fd, tmp); err != nil {
		return err
	}
	defer fs.noteCount(n, d, cString(p.name), &f)()
	if err := fs.putInUpper(d, work.fd, tmp, cString(p.name)); err != nil {
		_ = sysUnlinkAt(work.fd, tmp, 0)
		return err
	}
	fs.lostLower(n, &f)
	fs.name(n, d, name, 0)
	return nil
}

// linkCopy gives an object in the upper one more name. It links the index's where there is
// one: that name never goes to another object.
func (fs *FS) linkCopy(n *node, dirfd int, name *byte) error {
	var st sysStat
	if fs.indexed.has(n.id) {
		at := newPlace(fs.index, []byte(indexName(n.id)), 0)
		if err := fs.linkPlace(n, at, dirfd, name, &st); err != syscall.ESTALE {
			return err
		}
	}
	return n.tryPlaces(func(p *place) error { return fs.linkPlace(n, p, dirfd, name, &st) })
}

// linkPlace links the name that an object has at a place, and gives its attributes.
func (fs *FS) linkPlace(n *node, p *place, dirfd int, name *byte, st *sysStat) error {
	if p.layer != 0 {
		return syscall.ESTALE
	}
	dir, err := fs.dirFD(p.parent, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	if err := sysLinkAt(dir.fd, cString(p.name), dirfd, name); err != nil {
		return gone(err)
	}
	err = sysStatAt(dirfd, name, st)
	if err == nil && fs.identity(0, st) != n.behind() {
		err = syscall.ESTALE // the name went to another object
	}
	if err != nil {
		_ = sysUnlinkAt(dirfd, name, 0)
	}
	return err
}

// cutOff makes a directory in the upper hide the lower layers. It is for who holds
// n.mu. The directory is opaque before its whiteouts go: no name comes back.
func (fs *FS) cutOff(n *node) error {
	dir, err := fs.dirFD(n, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	s, err := fs.stackOf(n)
	if err != nil {
		return err
	}
	var st sysStat
	if err := sysFstat(dir.fd, &st); err != nil {
		return err
	}
	err = fs.ifAllowed(dir.fd, &dotName[0], 0o700, func() error {
		if err := setDirMark(dir.fd, &dotName[0], markOpaque, "y"); err != nil {
			return err
		}
		return fs.dropWhiteouts(n, &s.parts[0])
	})
	if err != nil {
		return err
	}
	top := s.parts[0]
	top.whiteouts = true // opaque directories may hold some, and must not be marked anew for them
	next := s.with([]stackPart{top})
	next.redirect = ""
	n.dir.stack.Store(next)
	return dirTarget(dir.fd).setTimes(&st)
}

// dropWhiteouts removes the whiteouts from the upper part of a directory.
func (fs *FS) dropWhiteouts(n *node, top *stackPart) error {
	if !top.whiteouts {
		return nil
	}
	var names []string
	err := fs.listPart(n, top, func(dirfd int, _ uint64, _ uint8, name []byte) error {
		var c cName
		var st sysStat
		if err := sysStatAt(dirfd, c.set(name), &st); err != nil {
			return err
		}
		hides, err := isWhiteout(dirfd, c.set(name), &st)
		if hides {
			names = append(names, string(name)+"\x00")
		}
		return err
	})
	if err != nil {
		return err
	}
	dir, err := fs.partDir(n, top)
	if err != nil {
		return err
	}
	defer dir.release()
	for _, name := range names {
		if err := sysUnlinkAt(dir.fd, cString(name), 0); err != nil && err != syscall.ENOENT {
			return err
		}
	}
	return nil
}
