package overlay

import (
	"syscall"

	"golang.org/x/sys/unix"
)

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
	}
	return err
}

// copier copies one object from a lower layer to the work directory.
type copier struct {
	fs   *FS
	from int
	name *byte
	work int
	tmp  *byte
	st   *sysStat
}

// copy reports whether the copy carries the object's ID; only regular files and
// directories can on Linux.
func (c *copier) copy(id ID) (marked bool, err error) {
	switch c.st.typ() {
	case ModeRegular:
		err = c.file()
	case ModeDir:
		err = c.dir()
	case ModeSymlink:
		err = c.symlink()
	default:
		err = sysMknodAt(c.work, c.tmp, c.st.typ()|0o600, c.st.major, c.st.minor)
	}
	if err != nil {
		return false, err
	}
	err = setMark(c.work, c.tmp, markOrigin, encodeOrigin(id))
	if err != nil && !noMark(err) {
		return false, err
	}
	return err == nil, c.attributes()
}

// file copies the data, sharing blocks where the file systems can, and puts it
// on disk before the name can appear.
func (c *copier) file() error {
	from, err := c.fs.openAt(c.from, c.name, openRead, 0)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := c.fs.openAt(c.work, c.tmp, openMake, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	if err := copyData(from, to, int64(c.st.size)); err != nil {
		return err
	}
	if err := c.unchanged(from); err != nil {
		return err
	}
	if err := copyXattrs(from, to); err != nil {
		return err
	}
	if err := c.unchanged(from); err != nil {
		return err
	}
	return sysFsync(to)
}

// unchanged gives ESTALE when a lower file is not what it was when its copy began:
// the copy could hold bytes of both.
func (c *copier) unchanged(from int) error {
	var now sysStat
	if err := sysFstat(from, &now); err != nil {
		return err
	}
	if now.dev != c.st.dev || now.ino != c.st.ino || now.size != c.st.size || now.mtime != c.st.mtime || now.ctime != c.st.ctime {
		return syscall.ESTALE
	}
	return nil
}

// dir makes a directory with the original's extended attributes, where it may be read.
func (c *copier) dir() error {
	if err := sysMkdirAt(c.work, c.tmp, 0o700); err != nil {
		return err
	}
	from, err := c.fs.openAt(c.from, c.name, openList, 0)
	if err == syscall.EACCES {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := c.fs.openAt(c.work, c.tmp, openList, 0)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	return copyXattrs(from, to)
}

func (c *copier) symlink() error {
	var b [maxTarget + 1]byte
	n, err := sysReadlinkAt(c.from, c.name, b[:maxTarget])
	if err != nil {
		return err
	}
	b[n] = 0
	return sysSymlinkAt(&b[0], c.work, c.tmp)
}

// attributes gives the copy the original's owner, mode and times. A lower file
// of another owner becomes the server's: only root could keep it.
func (c *copier) attributes() error {
	fd, err := c.fs.openAt(c.work, c.tmp, openPin, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var now sysStat
	if err := sysFstat(fd, &now); err != nil {
		return err
	}
	t := target{fd: fd, path: true, dirfd: c.work, name: c.tmp}
	if now.uid != c.st.uid || now.gid != c.st.gid {
		if err := t.chown(int(c.st.uid), int(c.st.gid)); err != nil && err != syscall.EPERM {
			return err
		}
	}
	if c.st.typ() != ModeSymlink {
		if err := t.chmod(c.st.mode & 0o7777); err != nil {
			return err
		}
	}
	return t.setTimes(c.st)
}

// publish gives a copy its name in the upper, if the original still has it, and
// makes it the object that clients know.
func (fs *FS) publish(n *node, p *place, work int, tmp *byte, st *sysStat, marked bool) error {
	d := p.parent
	d.mu.Lock()
	defer d.mu.Unlock()
	if st.nlink > 1 && !n.isDir() {
		defer fs.counts.lock(n.id.Fileid)()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := fs.stillThere(n, p); err != nil {
		return err
	}
	var copied sysStat
	if err := sysStatAt(work, tmp, &copied); err != nil {
		return err
	}
	found := fs.identity(0, &copied)
	if !marked {
		fs.origins.keep(found, n.id)
		fs.journal.add(record{op: recOrigin, id: found, other: n.id})
	}
	if st.nlink > 1 && !n.isDir() {
		links := int32(st.nlink) - fs.hidden.get(n.id)
		defer countNote{n.id, true, links, links - 1}.make(fs, d, cString(p.name))()
		if err := fs.addIndex(n, work, tmp, st); err != nil {
			return err
		}
	}
	if err := fs.putInUpper(d, work, tmp, cString(p.name)); err != nil {
		fs.dropIndex(n)
		return err
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

// dropIndex takes back what addIndex did.
func (fs *FS) dropIndex(n *node) {
	if !fs.indexed.has(n.id) {
		return
	}
	n.dropPlace(fs.index, []byte(indexName(n.id)))
	n.linkDelta.Store(0)
	fs.unindex(n)
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

// addIndex links a copy of a lower file with several names into the index.
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
	if noted {
		fs.dropHidden(n.id)
	} else if err := fs.keepCount(n.id, links); err != nil {
		return err
	}
	n.linkDelta.Store(links - 1)
	n.addPlace(fs.index, []byte(name), 0)
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
	_ = fs.keepLinks(n.id, n.linkDelta.Add(-1)+1)
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

// raise makes sure that a name and what it stands for are in the upper, and can get
// another name: a directory shows the same under any.
func (fs *FS) raise(c Caller, d *node, name []byte) (*node, error) {
	var st sysStat
	n, err := fs.lookup(d, name, &st)
	if err != nil {
		return nil, err
	}
	if err := fs.copyUp(c, n); err != nil {
		return nil, err
	}
	if !n.isDir() {
		return n, fs.raiseName(c, d, n, name)
	}
	if err := fs.redirect(n); err != syscall.ENAMETOOLONG {
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

// linkCopy gives the copy of a file one more name.
func (fs *FS) linkCopy(n *node, dirfd int, name *byte) error {
	return n.tryPlaces(func(p *place) error {
		if p.layer != 0 {
			return syscall.ESTALE
		}
		dir, err := fs.dirFD(p.parent, 0)
		if err != nil {
			return err
		}
		defer dir.release()
		return gone(sysLinkAt(dir.fd, cString(p.name), dirfd, name))
	})
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
