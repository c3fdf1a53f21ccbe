package overlay

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	defaultFileMode = 0o644
	defaultDirMode  = 0o755
	// exclusiveMode is a file's until the SETATTR that follows an exclusive CREATE.
	exclusiveMode = 0o600
)

// names is a directory whose names are being changed: locked, in the upper.
type names struct {
	fs   *FS
	node *node
	dir  *openFile // in the upper
	pre  sysStat
	// touched says that a name was made or removed.
	touched bool
}

// change locks a directory for a change of its names and takes down its
// attributes.
func (fs *FS) change(c Caller, dir ID, w *Change) (*names, error) {
	d, err := fs.changeableDir(c, dir)
	if err != nil {
		return nil, err
	}
	return fs.changeLocked(c, d, w)
}

// changeRaised is change for who holds another directory's lock, which to copy this one up
// could take: errLowered says that it has to be.
func (fs *FS) changeRaised(c Caller, dir ID, w *Change) (*names, error) {
	d, err := fs.dirNode(dir)
	if err != nil {
		return nil, err
	}
	up, err := fs.isUp(d)
	if err == nil && !up {
		err = errLowered
	}
	if err != nil {
		return nil, err
	}
	return fs.changeLocked(c, d, w)
}

func (fs *FS) changeLocked(c Caller, d *node, w *Change) (*names, error) {
	if err := acquire(c, &d.mu); err != nil {
		return nil, err
	}
	in, err := fs.names(d)
	if err != nil {
		d.mu.Unlock()
		return nil, err
	}
	w.before(&in.pre)
	return in, nil
}

// names is for who holds d.mu.
func (fs *FS) names(d *node) (*names, error) {
	in := &names{fs: fs, node: d}
	var err error
	if in.dir, err = fs.dirFD(d, 0); err != nil {
		return nil, err
	}
	if err := sysFstat(in.dir.fd, &in.pre); err != nil {
		in.dir.release()
		return nil, err
	}
	fs.showTimes(d, &in.pre)
	if in.pre.nlink == 0 {
		in.dir.release()
		return nil, syscall.ESTALE
	}
	d.dir.changing.Add(1)
	return in, nil
}

// done takes down the attributes after, and unlocks.
func (in *names) done(w *Change) {
	in.finish(w)
	in.dir.release()
	in.node.dir.changing.Add(1)
	in.node.mu.Unlock()
}

// finish makes the change show in the directory's times.
func (in *names) finish(w *Change) {
	var st sysStat
	if sysFstat(in.dir.fd, &st) != nil {
		return
	}
	if in.touched {
		in.fs.advance(in.node, in.pre.mtime, st.mtime)
	}
	w.HasPost = true
	in.fs.fill(in.node, &st, &w.Post)
}

// Create makes a regular file. With Exclusive the verifier is kept in the
// file's times until the client sets them (RFC 1813 §3.3.8), so that the same
// call sent again finds it, after a restart too.
func (fs *FS) Create(c Caller, dir ID, name []byte, how *CreateHow, child *Attr, w *Change) error {
	defer leave(fs.enter(dir))
	name, err := fs.storedNew(c, name)
	if err != nil {
		return err
	}
	for range maxRetries {
		if err := fs.tryCreate(c, dir, name, how, child, w); err != errReplaced {
			return err
		}
	}
	return syscall.ESTALE
}

// tryCreate gives errReplaced where a file that had the name is gone before it gets its size.
func (fs *FS) tryCreate(c Caller, dir ID, name []byte, how *CreateHow, child *Attr, w *Change) error {
	in, err := fs.change(c, dir, w)
	if err != nil {
		return err
	}
	s := createAttr(how)
	err = in.makeFile(c, name, &s, child)
	if err != syscall.EEXIST || how.Mode == Guarded {
		in.done(w)
		return err
	}
	var f found
	n, err := fs.lookupLocked(in.node, name, &f)
	in.done(w)
	if err != nil {
		return err
	}
	if err = fs.reuse(c, n, &f.st, how, &s, child); err == syscall.ESTALE {
		err = errReplaced
	}
	return err
}

// createAttr gives the attributes that a new file gets.
func createAttr(how *CreateHow) SetAttr {
	if how.Mode != Exclusive {
		return how.Attr
	}
	at, mt := verifierTimes(how.Verifier)
	return SetAttr{SetMode: true, Mode: exclusiveMode, SetAtime: ClientTime, SetMtime: ClientTime, Atime: at, Mtime: mt}
}

// verifierTimes hides an exclusive create's verifier in two times: of each half, 31
// bits in seconds that every file system can keep, and the highest in a fraction that
// is never zero.
func verifierTimes(v [8]byte) (atime, mtime Time) {
	return halfTime(binary.BigEndian.Uint32(v[:4])), halfTime(binary.BigEndian.Uint32(v[4:]))
}

func halfTime(half uint32) Time {
	return Time{Sec: int64(half & 0x7fffffff), Nsec: 1000 * (1 + half>>31)}
}

// sameHalf compares a time with one of verifierTimes. A file system that keeps whole
// seconds has lost the fraction.
func sameHalf(kept, want Time) bool {
	return kept.Sec == want.Sec && (kept.Nsec == want.Nsec || kept.Nsec == 0)
}

// makeFile makes a file that must not exist. Its descriptor is kept: the client
// is about to write.
func (in *names) makeFile(c Caller, name []byte, s *SetAttr, child *Attr) error {
	fs := in.fs
	mode := uint32(defaultFileMode)
	if s.SetMode {
		mode = s.Mode & 0o7777
	}
	m := making{c: c, typ: ModeRegular, mode: mode, set: s, open: func(dirfd int, name *byte) (int, error) {
		return fs.openAt(dirfd, name, openMake, mode)
	}}
	if err := in.create(name, &m); err != nil {
		return err
	}
	n, err := in.born(name, &m.st)
	if err != nil {
		unix.Close(m.fd)
		return err
	}
	fs.files.replace(&n.file, m.fd, true).release()
	fs.fill(n, &m.st, child)
	return nil
}

// unsettled gives what a new object lacks of what was asked for; ok is false where that
// is nothing.
func unsettled(c Caller, mode uint32, s *SetAttr, st, dir *sysStat) (set SetAttr, ok bool) {
	set = *s
	set.SetMode, set.Mode = st.mode&0o7777 != mode && st.typ() != ModeSymlink, mode
	if dir.mode&0o2000 != 0 && st.isDir() {
		set.Mode |= 0o2000 // inherited
		set.SetMode = st.mode&0o7777 != set.Mode
	}
	set.SetSize = s.SetSize && s.Size != 0 && st.typ() == ModeRegular
	inheritGroup(&set, c, st, dir)
	return set, set.SetMode || set.SetUID || set.SetGID || set.SetSize || set.SetAtime != DontChange || set.SetMtime != DontChange
}

// inheritGroup gives a new object the group of a set-gid directory, which the system
// does not where it was made in the work directory, or else the caller's.
func inheritGroup(set *SetAttr, c Caller, st, dir *sysStat) {
	gid := c.GID
	if dir.mode&0o2000 != 0 {
		gid = dir.gid
	} else if c.UID != st.uid {
		return
	}
	if set.SetGID || gid == st.gid || gid == noGroup {
		return
	}
	set.SetGID, set.GID = true, gid
	set.SetMode = set.SetMode || set.Mode&0o6000 != 0 // which chown(2) takes
}

// noGroup is the group of a caller that has none to give.
const noGroup = ^uint32(0)

// born makes the node of an object that was just made under name: the journal need not
// be asked for it.
func (in *names) born(name []byte, st *sysStat) (*node, error) {
	id := in.fs.identity(0, st)
	if in.fs.marked {
		in.fs.origins.put(id, id)
	}
	f := found{st: *st, id: id, changes: in.fs.journal.changed(id)}
	n, err := in.fs.meetKnown(Caller{}, in.fs.nodes.get(id), in.node, name, &f, true)
	if err == nil {
		in.relist(name, n.id.Fileid)
	}
	return n, err
}

// reuse answers a CREATE of a file that exists.
func (fs *FS) reuse(c Caller, n *node, st *sysStat, how *CreateHow, s *SetAttr, child *Attr) error {
	if !n.isRegular() {
		return syscall.EEXIST
	}
	fs.fill(n, st, child)
	switch {
	case how.Mode == Exclusive:
		if !sameHalf(st.atime, s.Atime) || !sameHalf(st.mtime, s.Mtime) {
			return syscall.EEXIST
		}
	case s.SetSize:
		w := Change{}
		if err := fs.Setattr(c, n.id, &SetAttr{SetSize: true, Size: s.Size}, &w); err != nil {
			return err
		}
		*child = w.Post
	}
	return nil
}

// make calls f to make an object under a name that must not exist. Over a
// whiteout it is made in the work directory and then takes the whiteout's place.
func (in *names) make(name []byte, f func(dirfd int, name *byte) error) error {
	var c cName
	cn := c.set(name)
	over, err := in.free(cn)
	if err != nil {
		return err
	}
	if in.fs.silly.get(in.node.id, name) != nil {
		return syscall.EEXIST
	}
	if over {
		err = in.makeOver(cn, f)
	} else {
		err = f(in.dir.fd, cn)
	}
	if err == nil {
		in.touch()
	}
	return err
}

// touch notes that a name was made or removed.
func (in *names) touch() {
	in.touched = true
	in.node.dir.version.Add(1)
}

// free reports EEXIST where the layers have the name, and whether a whiteout in
// the upper hides it. Without marks the system finds out by itself.
func (in *names) free(name *byte) (whiteout bool, err error) {
	if !in.fs.marked {
		return false, nil
	}
	var was found
	switch err := in.fs.find(in.node, name, &was); err {
	case nil:
		return false, syscall.EEXIST
	case syscall.ENOENT:
		return was.whiteout && was.layer == 0, nil
	default:
		return false, err
	}
}

// makeOver makes an object in the work directory and swaps it for a whiteout.
func (in *names) makeOver(name *byte, f func(dirfd int, name *byte) error) error {
	work, err := in.fs.dirFD(in.fs.work, 0)
	if err != nil {
		return err
	}
	defer work.release()
	tmp := cString(in.fs.tmpName())
	if err := f(work.fd, tmp); err != nil {
		return err
	}
	var st sysStat
	err = sysStatAt(work.fd, tmp, &st)
	if err == nil && st.isDir() {
		err = in.fs.ifAllowed(work.fd, tmp, 0o700, func() error { return setDirMark(work.fd, tmp, markOpaque, "y") })
	}
	if err == nil { // a directory that gets another parent has to be writable
		err = in.fs.ifAllowedTo(work.fd, tmp, in.dir.fd, name, 0o700, func() error { return in.fs.exchange(work.fd, tmp, in.dir.fd, name) })
	}
	if err != nil {
		_ = removeAt(work.fd, tmp)
		return err
	}
	_ = removeAt(work.fd, tmp) // what is left is swept at the next start
	return nil
}

// Mkdir makes a directory.
func (fs *FS) Mkdir(c Caller, dir ID, name []byte, s *SetAttr, child *Attr, w *Change) error {
	mode := uint32(defaultDirMode)
	if s.SetMode {
		mode = s.Mode & 0o7777
	}
	return fs.makeNode(c, dir, name, ModeDir, mode, s, child, w, func(dirfd int, name *byte) error {
		return sysMkdirAt(dirfd, name, mode)
	})
}

// Symlink makes a symbolic link. Its mode is what the system gives it.
func (fs *FS) Symlink(c Caller, dir ID, name, to []byte, s *SetAttr, child *Attr, w *Change) error {
	if len(to) >= maxTarget {
		return syscall.ENAMETOOLONG
	}
	if len(to) == 0 {
		return syscall.EINVAL
	}
	ct := append(append(make([]byte, 0, len(to)+1), to...), 0)
	return fs.makeNode(c, dir, name, ModeSymlink, 0, s, child, w, func(dirfd int, name *byte) error {
		return sysSymlinkAt(&ct[0], dirfd, name)
	})
}

// Mknod makes a FIFO, a socket's name, or a device where the system lets the
// server.
func (fs *FS) Mknod(c Caller, dir ID, name []byte, typ, major, minor uint32, s *SetAttr, child *Attr, w *Change) error {
	switch typ {
	case ModeFIFO, ModeSocket, ModeChar, ModeBlock:
	default:
		return ErrBadType
	}
	if typ == ModeChar && major == 0 && minor == 0 {
		return syscall.EPERM // over lower directories it would be a whiteout
	}
	mode := uint32(defaultFileMode)
	if s.SetMode {
		mode = s.Mode & 0o7777
	}
	return fs.makeNode(c, dir, name, typ, mode, s, child, w, func(dirfd int, name *byte) error {
		return sysMknodAt(dirfd, name, typ|mode, major, minor)
	})
}

// makeNode makes anything but a regular file with a call of the system.
func (fs *FS) makeNode(c Caller, dir ID, name []byte, typ, mode uint32, s *SetAttr, child *Attr, w *Change, mk func(dirfd int, name *byte) error) error {
	defer leave(fs.enter(dir))
	name, err := fs.storedNew(c, name)
	if err != nil {
		return err
	}
	in, err := fs.change(c, dir, w)
	if err != nil {
		return err
	}
	defer in.done(w)
	m := making{c: c, typ: typ, mode: mode, set: s, open: func(dirfd int, cn *byte) (int, error) {
		return -1, mk(dirfd, cn)
	}}
	if err := in.create(name, &m); err != nil {
		return err
	}
	n, err := in.born(name, &m.st)
	if err != nil {
		return err
	}
	fs.fill(n, &m.st, child)
	return nil
}

// removeAt removes a name in the work directory, whatever it stands for: of a directory
// unlink(2) gives EISDIR on Linux, and EPERM by POSIX.
func removeAt(dirfd int, name *byte) error {
	err := sysUnlinkAt(dirfd, name, 0)
	if err == syscall.EISDIR || err == syscall.EPERM {
		return sysUnlinkAt(dirfd, name, unix.AT_REMOVEDIR)
	}
	return err
}
