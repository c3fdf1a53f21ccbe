package overlay

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Remove removes a name of anything but a directory.
func (fs *FS) Remove(c Caller, dir ID, name []byte, w *Change) error {
	defer leave(fs.enter(dir))
	name = fs.stored(name)
	in, err := fs.change(c, dir, w)
	if err != nil {
		return fs.removeOrphan(c, dir, name, err)
	}
	defer in.done(w)
	var f found
	n, err := fs.lookupLocked(in.node, name, &f)
	if err != nil {
		return err
	}
	if n.isDir() {
		return syscall.EISDIR
	}
	if err := acquire(c, &n.mu); err != nil {
		return err
	}
	defer n.mu.Unlock()
	if err := fs.lookAgain(in.node, n, name, &f); err != nil {
		return err
	}
	if f.silly {
		return fs.removeSilly(c, dir, n, name, &f)
	}
	if slowToFree(&f.st) && !c.MayBlock {
		return ErrWouldBlock
	}
	return in.remove(n, name, &f)
}

// lookAgain finds a name anew that n, whose mu the caller holds, is about to lose: while he
// waited for it n may have got or lost names. One with a single name, on disk and among its
// places, did not.
func (fs *FS) lookAgain(d, n *node, name []byte, f *found) error {
	if p := n.places.Load(); n.isDir() || f.st.nlink == 1 && p != nil && p.next == nil {
		return nil
	}
	again, err := fs.lookupLocked(d, name, f)
	if err == nil && again != n {
		err = syscall.ESTALE
	}
	return err
}

// bigFile is from where on freeing a file's blocks is worth a worker.
const bigFile = 64 << 20

func slowToFree(st *sysStat) bool { return st.nlink == 1 && st.used >= bigFile }

func (in *names) remove(n *node, name []byte, f *found) error {
	fs := in.fs
	var c cName
	cn := c.set(name)
	hidden, err := fs.showsThrough(in.node, cn)
	if err != nil {
		return err
	}
	if f.layer == 0 {
		fs.pinYoung(n, in.dir.fd, cn, &f.st)
	}
	defer fs.noteCount(n, in.node, cn, f)()
	if err := in.takeAway(cn, hidden, 0); err != nil {
		return err
	}
	in.lost(n, name, f)
	return nil
}

// takeAway removes a name, of what flags of unlinkat(2) say. One that lower layers have is
// hidden.
func (in *names) takeAway(name *byte, hidden bool, flags int) error {
	if hidden {
		return in.whiteout(name)
	}
	return sysUnlinkAt(in.dir.fd, name, flags)
}

// lost forgets a name that is gone, and the object where it was the last.
func (in *names) lost(n *node, name []byte, f *found) {
	fs := in.fs
	in.touch()
	in.relist(name, 0)
	fs.lostLower(n, f)
	if fs.wasLast(n, f) {
		fs.forget(n)
		return
	}
	fs.unname(n, in.node, name)
}

// wasLast reports whether the name that an object just lost was its last.
func (fs *FS) wasLast(n *node, f *found) bool {
	if fs.marked && fs.indexed.has(n.id) {
		return fs.unreachable(n)
	}
	if f.layer == 0 || f.st.nlink == 1 {
		return f.st.nlink <= 1
	}
	if int32(f.st.nlink) > fs.hidden.get(n.id) {
		return false
	}
	fs.dropHidden(n.id)
	return true
}

// unreachable reports whether a file that was copied up with several names has
// lost the last of them: only the index still holds it.
func (fs *FS) unreachable(n *node) bool {
	var st sysStat
	var a Attr
	if fs.stat(n, &st) != nil {
		return false
	}
	fs.fill(n, &st, &a)
	if a.Nlink > 0 {
		return false
	}
	fs.unindex(n)
	return true
}

// whiteout puts a whiteout in a name's place, in one step.
func (in *names) whiteout(name *byte) error {
	if err := in.markWhiteouts(); err != nil {
		return err
	}
	return in.fs.newWhiteout(func(workfd int, whiteout *byte) error {
		return in.fs.hideAt(workfd, whiteout, in.dir.fd, name)
	})
}

// newWhiteout makes a whiteout in the work directory and has f put it in its place.
func (fs *FS) newWhiteout(f func(workfd int, whiteout *byte) error) error {
	work, err := fs.dirFD(fs.work, 0)
	if err != nil {
		return err
	}
	defer work.release()
	tmp := cString(fs.tmpName())
	if err := fs.makeWhiteout(work.fd, tmp); err != nil {
		return err
	}
	if err = f(work.fd, tmp); err != nil {
		_ = removeAt(work.fd, tmp)
	}
	return err
}

// whiteoutAt puts a whiteout where there is no directory, and nothing half made may be.
func (fs *FS) whiteoutAt(dirfd int, name *byte) error {
	return fs.newWhiteout(func(workfd int, whiteout *byte) error {
		return sysRenameAt(workfd, whiteout, dirfd, name)
	})
}

// hideAt puts a whiteout from the work directory in a name's place.
func (fs *FS) hideAt(workfd int, whiteout *byte, dirfd int, name *byte) error {
	var st sysStat
	switch err := sysStatAt(dirfd, name, &st); {
	case err != nil && err != syscall.ENOENT:
		return err
	case err != nil || !st.isDir():
		return sysRenameAt(workfd, whiteout, dirfd, name)
	}
	// A directory that gets another parent has to be writable.
	err := fs.ifAllowed(dirfd, name, 0o700, func() error { return fs.exchange(dirfd, name, workfd, whiteout) })
	if err == nil {
		_ = fs.discard(workfd, whiteout) // what is left is swept at the next start
	}
	return err
}

func (fs *FS) makeWhiteout(dirfd int, name *byte) error {
	err := fs.makeEmpty(dirfd, name)
	if err != nil {
		return err
	}
	if err = setMark(dirfd, name, markWhiteout, []byte("y")); err != nil {
		_ = sysUnlinkAt(dirfd, name, 0)
	}
	return err
}

func (fs *FS) makeEmpty(dirfd int, name *byte) error {
	fd, err := fs.openAt(dirfd, name, openMake, 0o600)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// markWhiteouts marks the directory as one that holds whiteouts, as overlayfs
// wants it.
func (in *names) markWhiteouts() error {
	s, err := in.fs.stackOf(in.node)
	if err != nil {
		return err
	}
	if s.parts[0].whiteouts {
		return nil
	}
	if err := setDirMark(in.dir.fd, &dotName[0], markOpaque, "x"); err != nil {
		return err
	}
	in.node.restack(s, func(p *stackPart) { p.whiteouts = true })
	return nil
}

// restack replaces a directory's stack by one whose part in the upper differs.
func (n *node) restack(s *stack, f func(*stackPart)) {
	next := s.with(append([]stackPart(nil), s.parts...))
	f(&next.parts[0])
	n.dir.stack.Store(next)
}

// discard removes a tree in the work directory, whatever the modes in it forbid.
func (fs *FS) discard(work int, name *byte) error {
	var st sysStat
	if err := sysStatAt(work, name, &st); err == nil && st.isDir() {
		if err := fs.allowed(work, name, 0o700, func() error { return fs.discardInside(work, name) }); err != nil {
			return err
		}
	}
	return removeAt(work, name)
}

func (fs *FS) discardInside(work int, name *byte) error {
	fd, err := fs.openAt(work, name, openList, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var names []string
	err = fs.readDirents(fd, func(_ uint64, _ uint8, b []byte) error {
		names = append(names, string(b)+"\x00")
		return nil
	})
	for _, n := range names {
		if err == nil {
			err = fs.discard(fd, cString(n))
		}
	}
	return err
}

// Rmdir removes an empty directory.
func (fs *FS) Rmdir(c Caller, dir ID, name []byte, w *Change) error {
	defer leave(fs.enter(dir))
	name = fs.stored(name)
	in, err := fs.change(c, dir, w)
	if err != nil {
		return err
	}
	defer in.done(w)
	var f found
	n, err := fs.lookupLocked(in.node, name, &f)
	if err != nil {
		return err
	}
	if !n.isDir() {
		return syscall.ENOTDIR
	}
	if err := acquire(c, &n.mu); err != nil {
		return err
	}
	defer n.mu.Unlock()
	return in.rmdir(n, name, &f)
}

func (in *names) rmdir(n *node, name []byte, f *found) error {
	fs := in.fs
	var c cName
	cn := c.set(name)
	hidden, err := in.clearDir(n, cn)
	if err != nil {
		return err
	}
	fs.pinYoung(n, in.dir.fd, cn, &f.st)
	if err := in.takeAway(cn, hidden, unix.AT_REMOVEDIR); err != nil {
		return err
	}
	in.touch()
	in.relist(name, 0)
	fs.forget(n)
	return nil
}

// clearDir finds out whether a directory is empty in the merged view and drops
// the whiteouts from its upper part where it goes by itself. hidden says that a whiteout
// has to take its place.
func (in *names) clearDir(n *node, name *byte) (hidden bool, err error) {
	fs := in.fs
	if !fs.marked {
		return false, nil
	}
	if err := fs.mustBeEmpty(n); err != nil {
		return false, err
	}
	hidden, err = fs.showsThrough(in.node, name)
	if err != nil || hidden {
		return hidden, err
	}
	return false, fs.cutOff(n)
}

// mustBeEmpty gives ENOTEMPTY when a directory shows names.
func (fs *FS) mustBeEmpty(n *node) error {
	empty, err := fs.empty(n)
	if err == nil && !empty {
		err = syscall.ENOTEMPTY
	}
	return err
}
