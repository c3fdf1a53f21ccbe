package overlay

import (
	"errors"
	"syscall"
)

// Rename moves an object from one name to another and replaces what has that
// name.
func (fs *FS) Rename(c Caller, from ID, fromName []byte, to ID, toName []byte, wfrom, wto *Change) error {
	defer leave(fs.enter(from))
	fromName = fs.stored(fromName)
	toName, err := fs.storedNew(c, toName)
	if err != nil {
		return err
	}
	err = whileLowered(func() error { return fs.tryRename(c, from, fromName, to, toName, wfrom, wto) })
	if err == syscall.ENOENT && fs.hidBefore(from, to, toName) {
		return nil
	}
	return err
}

func (fs *FS) tryRename(c Caller, from ID, fromName []byte, to ID, toName []byte, wfrom, wto *Change) error {
	if err := fs.readyToMove(c, from, fromName, to, toName); err != nil {
		return err
	}
	if from != to || fs.marked {
		if err := acquire(c, &fs.moving); err != nil {
			return err
		}
		defer fs.moving.Unlock()
	}
	src, dst, unlock, err := fs.changeTwo(c, from, to, wfrom, wto)
	if err != nil {
		return err
	}
	defer unlock()
	return fs.rename(c, src, fromName, dst, toName)
}

// readyToMove copies up, before anything is locked, both directories of a rename
// and what is about to be renamed. A directory that lower layers have too gets a redirect:
// until it is moved that shows nothing else than before.
func (fs *FS) readyToMove(c Caller, from ID, name []byte, to ID, toName []byte) error {
	d, err := fs.changeableDir(c, from)
	if err != nil {
		return err
	}
	dst, err := fs.changeable(c, to) // changeTwo tells of from's attributes when this is no directory
	if err != nil || !fs.marked {
		return err
	}
	if !dst.isDir() {
		return syscall.ENOTDIR
	}
	n, err := fs.raise(c, d, name)
	if err != nil || n.isRegular() {
		return err
	}
	return fs.readyToDisplace(c, d, name, n, dst, toName)
}

// readyToDisplace copies up what is about to be replaced by an object that leaves a hidden
// name, and under that name, since the two have to be exchanged. (A regular file is linked instead.)
func (fs *FS) readyToDisplace(c Caller, d *node, name []byte, n, dst *node, toName []byte) error {
	var st sysStat
	old, err := fs.lookup(c, dst, toName, &st)
	if err == syscall.ENOENT || err == nil && old.isDir() != n.isDir() {
		return nil
	}
	if err != nil {
		return err
	}
	var cn cName
	hidden, err := fs.showsThrough(d, cn.set(name))
	if err != nil || !hidden {
		return err
	}
	if err := fs.copyUp(c, old); err != nil || old.isDir() {
		return err
	}
	return fs.raiseName(c, dst, old, toName)
}

// errLowered says that a directory was in the upper and is not any more, behind the server:
// it has to be copied up again before anything is locked.
var errLowered = errors.New("directory is not in the upper any more")

// whileLowered calls f, which copies up what it needs there, until it does not give errLowered.
func whileLowered(f func() error) error {
	for range maxRetries {
		if err := f(); err != errLowered {
			return err
		}
	}
	return syscall.EAGAIN
}

// changeTwo locks the directories of a rename or a link, for who holds fs.moving where they
// are two: an ancestor first, else in the order of their numbers. The second can give
// errLowered: to copy it up could take the first's lock.
func (fs *FS) changeTwo(c Caller, from, to ID, wfrom, wto *Change) (src, dst *names, unlock func(), err error) {
	if from == to {
		return fs.changeOne(c, from, wfrom, wto)
	}
	first, second, w1, w2 := from, to, wfrom, wto
	if fs.lockSecond(from, to) {
		first, second, w1, w2 = to, from, wto, wfrom
	}
	a, err := fs.change(c, first, w1)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := fs.changeRaised(c, second, w2)
	if err != nil {
		a.done(w1)
		return nil, nil, nil, err
	}
	unlock = func() {
		b.done(w2)
		a.done(w1)
	}
	if first == from {
		return a, b, unlock, nil
	}
	return b, a, unlock, nil
}

// changeOne locks the one directory of a rename or a link.
func (fs *FS) changeOne(c Caller, dir ID, wfrom, wto *Change) (src, dst *names, unlock func(), err error) {
	in, err := fs.change(c, dir, wfrom)
	if err != nil {
		return nil, nil, nil, err
	}
	*wto = *wfrom
	return in, in, func() { in.done(wfrom); *wto = *wfrom }, nil
}

// lockSecond reports whether from has to be locked after to.
func (fs *FS) lockSecond(from, to ID) bool {
	f, t := fs.nodes.get(from), fs.nodes.get(to)
	if f == nil || t == nil {
		return false
	}
	if f.under(t) {
		return true
	}
	return !t.under(f) && to.Fileid < from.Fileid
}

// maxDepth bounds a walk to the root.
const maxDepth = 1 << 16

// under reports whether n lies under the directory d.
func (n *node) under(d *node) bool {
	for range maxDepth {
		up := n.parent()
		if up == n {
			return false
		}
		if up == d {
			return true
		}
		n = up
	}
	return false
}

func (fs *FS) rename(c Caller, src *names, fromName []byte, dst *names, toName []byte) error {
	var f, t found
	n, err := fs.lookupLocked(src.node, fromName, &f)
	if err != nil {
		return err
	}
	if err := fs.movable(n, &f); err != nil {
		return err
	}
	if n == dst.node || n.isDir() && dst.node.under(n) {
		return syscall.EINVAL // into itself
	}
	old, err := fs.lookupLocked(dst.node, toName, &t)
	if err != nil && err != syscall.ENOENT {
		return err
	}
	switch {
	case old == n:
		return nil // two names of one object stay (rename(2))
	case old != nil:
		if err := replaceable(src.node, n, old); err != nil {
			return err
		}
		if err := acquire(c, &old.mu); err != nil {
			return err
		}
		defer old.mu.Unlock()
		if err := fs.lookAgain(dst.node, old, toName, &t); err != nil {
			return err
		}
		if slowToFree(&t.st) && !c.MayBlock {
			return ErrWouldBlock
		}
	}
	return fs.renameFound(c, src, dst, n, old, fromName, toName, &f, &t)
}

// renameFound renames in the way that f, what the old name stands for, and t, what
// the new one does, ask for.
func (fs *FS) renameFound(c Caller, src, dst *names, n, old *node, fromName, toName []byte, f, t *found) error {
	switch {
	case f.silly:
		return fs.reveal(c, src, dst, n, old, fromName, toName, t)
	case t.silly:
		if err := fs.move(c, src, dst, n, nil, fromName, toName, t); err != nil {
			return err
		}
		_ = fs.removeSilly(c, dst.node.id, old, toName, t) // what is left is swept one day
		return nil
	case old == nil && src == dst && isSilly(c, n, toName):
		if err := src.renameSilly(n, fromName, toName); !noRoom(err) {
			return err
		}
	case old != nil && old.isDir():
		return fs.renameOverDir(c, src, dst, n, old, fromName, toName, t)
	}
	return fs.move(c, src, dst, n, old, fromName, toName, t)
}

// movable gives ESTALE for what took the name since another was made ready to move.
func (fs *FS) movable(n *node, f *found) error {
	if !fs.marked {
		return nil
	}
	if f.layer != 0 {
		return syscall.ESTALE
	}
	if !n.isDir() {
		return nil
	}
	s, err := fs.stackOf(n)
	if err == nil && !s.apart() {
		err = syscall.ESTALE
	}
	return err
}

// replaceable gives the errors of rename(2), in its order, for what cannot replace each
// other: an ancestor of the old name is not empty, whatever is renamed.
func replaceable(src, n, old *node) error {
	switch {
	case old.isDir() && (src == old || src.under(old)):
		return syscall.ENOTEMPTY
	case n.isDir() && !old.isDir():
		return syscall.ENOTDIR
	case !n.isDir() && old.isDir():
		return syscall.EISDIR
	}
	return nil
}

// renameOverDir replaces an empty directory, of which whiteouts may be left. It is for who
// holds old.mu.
func (fs *FS) renameOverDir(c Caller, src, dst *names, n, old *node, fromName, toName []byte, t *found) error {
	if fs.marked {
		if err := fs.mustBeEmpty(old); err != nil {
			return err
		}
	}
	if fs.marked && t.layer == 0 {
		if err := fs.cutOff(old); err != nil {
			return err
		}
	}
	return fs.move(c, src, dst, n, old, fromName, toName, t)
}

// move renames in the upper and leaves a whiteout where a lower layer has the
// old name.
func (fs *FS) move(c Caller, src, dst *names, n, old *node, fromName, toName []byte, t *found) error {
	var cf, ct cName
	from, to := cf.set(fromName), ct.set(toName)
	hidden, err := fs.showsThrough(src.node, from)
	if err != nil {
		return err
	}
	if err := fs.readyToCover(c, dst, n, to); err != nil {
		return err
	}
	if err := dst.hold(n); err != nil {
		return err
	}
	if old != nil && t.layer == 0 {
		fs.pinYoung(old, dst.dir.fd, to, &t.st)
	}
	way, err := dst.wayToMove(n, old, to, t, hidden)
	if err != nil {
		return err
	}
	if old != nil {
		defer fs.noteCount(old, dst.node, to, t)()
	}
	// The new name is known before it is there: should the process end in between,
	// the object is found under one of the two.
	fs.name(n, dst.node, toName, 0)
	switch way {
	case moveAlone:
		err = sysRenameAt(src.dir.fd, from, dst.dir.fd, to)
	case moveSwapping:
		err = src.swap(from, dst, to, hidden)
	case moveDisplacing:
		err = src.displace(n, from, dst, to, t)
	}
	if err != nil {
		fs.unname(n, dst.node, toName)
		return err
	}
	fs.moved(src, dst, n, old, fromName, toName, t)
	return nil
}

// The ways to move an object in the upper.
type moveWay uint8

const (
	moveAlone moveWay = iota
	// moveSwapping exchanges the object for the whiteout under the new name.
	moveSwapping
	// moveDisplacing takes an object's place and leaves a whiteout; see intent.
	moveDisplacing
)

// wayToMove says how an object is to be moved. In a whiteout's place a directory has to
// be exchanged for it: rename(2) does not put one there. What leaves a hidden name had
// better, for it is hidden then in the same step: unless the new name has an object
// to lose, a whiteout is put there first.
func (in *names) wayToMove(n, old *node, to *byte, t *found, hidden bool) (moveWay, error) {
	onWhiteout := t.whiteout && t.layer == 0
	switch {
	case onWhiteout && (hidden || n.isDir()):
		return moveSwapping, nil
	case !hidden:
		return moveAlone, nil
	case old == nil:
		return moveSwapping, in.whiteout(to)
	case t.layer != 0 && !n.isRegular():
		return 0, syscall.ESTALE // replaced since it was copied up
	}
	return moveDisplacing, nil
}

// swap lets an object and a whiteout change places. The whiteout stays where the name
// is hidden.
func (in *names) swap(from *byte, dst *names, to *byte, hidden bool) error {
	if err := in.markWhiteouts(); err != nil {
		return err
	}
	if err := in.fs.exchange(in.dir.fd, from, dst.dir.fd, to); err != nil || hidden {
		return err
	}
	_ = sysUnlinkAt(in.dir.fd, from, 0) // what is left hides nothing
	return nil
}

// moved makes known what a rename changed.
func (fs *FS) moved(src, dst *names, n, old *node, fromName, toName []byte, t *found) {
	if old != nil {
		if old.isDir() {
			fs.forget(old)
		} else {
			dst.lost(old, toName, t)
		}
	}
	src.touch()
	dst.touch()
	src.relist(fromName, 0)
	dst.relist(toName, n.id.Fileid)
	fs.unname(n, src.node, fromName)
}

// readyToCover makes sure that a directory does not merge with what lower layers have
// under its new name. A redirect does.
func (fs *FS) readyToCover(c Caller, dst *names, n *node, to *byte) error {
	if !fs.marked || !n.isDir() {
		return nil
	}
	if s, err := fs.stackOf(n); err != nil || absolute(s.redirect) {
		return err
	}
	through, err := fs.showsThrough(dst.node, to)
	if err != nil || !through {
		return err
	}
	if err := acquire(c, &n.mu); err != nil {
		return err
	}
	defer n.mu.Unlock()
	return fs.cutOff(n)
}

// Link gives an object one more name.
func (fs *FS) Link(c Caller, id, dir ID, name []byte, a *Attr, w *Change) (hasAttr bool, err error) {
	defer leave(fs.enter(id))
	n, err := fs.changeable(c, id)
	if err != nil {
		return false, err
	}
	if n.isDir() {
		return false, syscall.EPERM
	}
	if name, err = fs.storedNew(c, name); err != nil {
		return false, err
	}
	var st sysStat
	err = whileLowered(func() error {
		if _, err := fs.changeableDir(c, dir); err != nil { // copied up before anything is locked
			return err
		}
		return n.tryPlaces(func(p *place) error { return fs.linkFrom(c, n, p, dir, name, &st, w) })
	})
	if err != nil {
		return false, err
	}
	if fs.marked && fs.stat(n, &st) != nil { // the new name may have moved since
		return false, nil
	}
	fs.fill(n, &st, a)
	return true, nil
}

// linkFrom links the name that an object has at a place. The directories of both names are
// locked, so that it is the object that gets the new one. So is the object: nobody takes the
// old name for its last meanwhile.
func (fs *FS) linkFrom(c Caller, n *node, from *place, dir ID, name []byte, st *sysStat, w *Change) error {
	if up, err := fs.isUp(from.parent); err != nil {
		return err
	} else if !up || from.layer != 0 { // it is no name to link, and would have its directory copied up
		return syscall.ESTALE
	}
	in, unlock, err := fs.changeBeside(c, from, dir, w)
	if err != nil {
		return err
	}
	defer unlock()
	if n.hasPlace(from.parent, []byte(from.plain())) == nil {
		return syscall.ESTALE
	}
	if err := in.hold(n); err != nil {
		return err
	}
	if err := acquire(c, &n.mu); err != nil {
		return err
	}
	defer n.mu.Unlock()
	err = in.make(name, func(dirfd int, cn *byte) error { return fs.linkPlace(n, from, dirfd, cn, st) })
	if err != nil {
		return err
	}
	fs.name(n, in.node, name, 0)
	in.relist(name, n.id.Fileid)
	return nil
}

// changeBeside locks a directory for a change of its names, and the one of a place. In
// those that only the server uses a name is of one object for good.
func (fs *FS) changeBeside(c Caller, p *place, dir ID, w *Change) (in *names, unlock func(), err error) {
	if p.parent == fs.index || p.parent == fs.silly.dir {
		in, err = fs.change(c, dir, w)
		return in, func() { in.done(w) }, err
	}
	if p.parent.id != dir {
		if err := acquire(c, &fs.moving); err != nil {
			return nil, nil, err
		}
		defer fs.moving.Unlock()
	}
	var ignored Change
	_, in, unlock, err = fs.changeTwo(c, p.parent.id, dir, &ignored, w)
	return in, unlock, err
}
