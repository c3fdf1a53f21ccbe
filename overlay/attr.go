package overlay

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fill makes the attributes that clients see of those of the file under n.
func (fs *FS) fill(n *node, st *sysStat, a *Attr) {
	if n.dir != nil {
		fs.showTimes(n, st)
	}
	fs.show(n.id, st, n.linkDelta.Load(), a)
}

// show makes attributes of those of the file under the object id; linkDelta is as in its node.
func (fs *FS) show(id ID, st *sysStat, linkDelta int32, a *Attr) {
	*a = Attr{
		ID: id, Mode: st.mode, Nlink: st.nlink, UID: st.uid, GID: st.gid, Size: st.size, Used: st.used,
		Major: st.major, Minor: st.minor, Atime: st.atime, Mtime: st.mtime, Ctime: st.ctime,
	}
	if linkDelta != 0 {
		a.Nlink = uint32(int64(a.Nlink) + int64(linkDelta))
	}
	if a.IsDir() && len(fs.layers) > 1 {
		a.Nlink = mergedLinks
	}
}

// Getattr gives an object's attributes.
func (fs *FS) Getattr(id ID, a *Attr) error {
	defer leave(fs.enter(id))
	n, err := fs.node(id)
	if err != nil {
		return err
	}
	var st sysStat
	if err := fs.stat(n, &st); err != nil {
		return err
	}
	fs.fill(n, &st, a)
	return nil
}

// Born gives when an object was made. It is the zero Time where that is not known, and
// for what was in a lower layer first: a copy's birth is not the object's.
func (fs *FS) Born(id ID) (Time, error) {
	defer leave(fs.enter(id))
	n, err := fs.node(id)
	if err != nil {
		return Time{}, err
	}
	var st sysStat
	if err := fs.stat(n, &st); err != nil || fs.identity(0, &st) != id {
		return Time{}, err
	}
	return st.born, nil
}

func (w *Change) before(st *sysStat) {
	w.HasPre = true
	w.Pre = PreAttr{Size: st.size, Mtime: st.mtime, Ctime: st.ctime}
}

// after fills in the attributes after a change, as far as they can be had.
func (fs *FS) after(n *node, w *Change) {
	var st sysStat
	if fs.stat(n, &st) == nil {
		fs.fill(n, &st, &w.Post)
		w.HasPost = true
	}
}

// acquire takes a lock, or gives ErrWouldBlock to a caller that must not wait.
func acquire(c Caller, mu interface {
	Lock()
	TryLock() bool
},
) error {
	if mu.TryLock() {
		return nil
	}
	if !c.MayBlock {
		return ErrWouldBlock
	}
	mu.Lock()
	return nil
}

// Setattr changes attributes: size, owner, mode and times, in this order, since
// each can change the ones after it.
func (fs *FS) Setattr(c Caller, id ID, s *SetAttr, w *Change) error {
	defer leave(fs.enter(id))
	guard, err := fs.guardBelow(id, s.Guard)
	if err != nil {
		return err
	}
	n, err := fs.changeable(c, id)
	if err != nil {
		return err
	}
	if err := acquire(c, &n.mu); err != nil {
		return err
	}
	defer n.mu.Unlock()
	defer fs.after(n, w)
	if guard != nil || s.SetSize && !n.isRegular() { // else what is opened tells
		if err := fs.held(n, guard, w); err != nil {
			return err
		}
	}
	return fs.setattr(c, n, s, w)
}

// held takes down the attributes from before, and gives ErrNotSync where a guard does
// not hold.
func (fs *FS) held(n *node, guard *Time, w *Change) error {
	var st sysStat
	if err := fs.stat(n, &st); err != nil {
		return err
	}
	w.before(&st)
	if guard != nil && *guard != st.ctime {
		return ErrNotSync
	}
	return nil
}

// guardBelow holds a guard against an object that is not in the upper yet: its copy has
// another ctime. It gives the guard that is left to be held.
func (fs *FS) guardBelow(id ID, guard *Time) (*Time, error) {
	if guard == nil || !fs.marked || fs.readOnly {
		return guard, nil
	}
	n, err := fs.node(id)
	if err != nil {
		return nil, err
	}
	if up, err := fs.isUp(n); up || err != nil {
		return guard, err
	}
	var st sysStat
	if err := fs.stat(n, &st); err != nil {
		return nil, err
	}
	if *guard != st.ctime {
		return nil, ErrNotSync
	}
	return nil, nil
}

// changeable gives the node of an object that is about to be changed, copied up
// where it was in a lower layer.
func (fs *FS) changeable(c Caller, id ID) (*node, error) {
	n, err := fs.node(id)
	if err != nil {
		return nil, err
	}
	if fs.readOnly {
		return nil, syscall.EROFS
	}
	return n, fs.copyUp(c, n)
}

// changeableDir is changeable for a directory, in which names are about to change.
func (fs *FS) changeableDir(c Caller, id ID) (*node, error) {
	d, err := fs.changeable(c, id)
	if err == nil && !d.isDir() {
		err = syscall.ENOTDIR
	}
	return d, err
}

// setattr is for who holds n.mu. What it opens tells the attributes from before, too.
func (fs *FS) setattr(c Caller, n *node, s *SetAttr, w *Change) error {
	if s.SetSize {
		err := fs.setSize(c, n, s.Size, w)
		if err != nil || !s.SetMode && !s.SetUID && !s.SetGID && s.SetAtime == DontChange && s.SetMtime == DontChange {
			return err
		}
	}
	st := new(sysStat)
	p, err := fs.pin(n, st)
	if err != nil {
		return err
	}
	defer p.release()
	if !w.HasPre {
		if n.isDir() {
			fs.showTimes(n, st)
		}
		w.before(st)
	}
	if n.isDir() && s.SetMtime != DontChange {
		n.dir.standing.Store(nil)
	}
	if s.SetMode || s.SetUID || s.SetGID {
		defer fs.modes.lock(st.ino)()
	}
	err = applyAttr(p.target, s, st)
	if err == nil && s.SetMtime != DontChange {
		n.showTrueTimes()
	}
	return err
}

func (fs *FS) setSize(c Caller, n *node, size uint64, w *Change) error {
	var st sysStat
	f, fresh, err := fs.openData(n, true, &st)
	if err != nil {
		return err
	}
	defer f.release()
	if !fresh {
		if err := sysFstat(f.fd, &st); err != nil {
			return err
		}
	}
	if size < st.size && st.used >= bigFile && !c.MayBlock {
		return ErrWouldBlock
	}
	w.before(&st)
	return sysFtruncate(f.fd, size)
}

// applyAttr sets everything but the size; st is from before.
func applyAttr(t target, s *SetAttr, st *sysStat) error {
	if err := applyOwner(t, s, st); err != nil {
		return err
	}
	if s.SetMode && (st.typ() != ModeSymlink || s.Mode&0o7777 != st.mode&0o7777) {
		if err := t.chmod(s.Mode & 0o7777); err != nil {
			return err
		}
	}
	if s.SetAtime == DontChange && s.SetMtime == DontChange {
		return nil
	}
	now := time.Now()
	return t.utimes(timeToSet(s.SetAtime, s.Atime, now), timeToSet(s.SetMtime, s.Mtime, now))
}

// applyOwner changes owner and group. Root as a client gives files to the uid
// that it runs as, which is the owner's already or is not to be had: only a
// change is asked of the system.
func applyOwner(t target, s *SetAttr, st *sysStat) error {
	uid, gid := -1, -1
	if s.SetUID && s.UID != st.uid {
		uid = int(s.UID)
	}
	if s.SetGID && s.GID != st.gid {
		gid = int(s.GID)
	}
	if uid == -1 && gid == -1 {
		return clearSetID(t, s, st)
	}
	return t.chown(uid, gid)
}

// clearSetID does what chown(2) does also when nothing changes hands: but for
// directories the set-uid bit goes, and the set-gid bit where the group may execute.
func clearSetID(t target, s *SetAttr, st *sysStat) error {
	if !s.SetUID && !s.SetGID || st.isDir() || withoutSetID(st.mode) == st.mode&0o7777 || s.SetMode {
		return nil
	}
	var now sysStat
	if err := t.stat(&now); err != nil { // it can have been widened when st was read
		return err
	}
	return t.chmod(withoutSetID(now.mode))
}

func withoutSetID(mode uint32) uint32 {
	mode &= 0o7777 &^ 0o4000
	if mode&0o010 != 0 {
		mode &^= 0o2000
	}
	return mode
}

func timeToSet(how SetTime, client Time, now time.Time) unix.Timespec {
	switch how {
	case ServerTime:
		ts, _ := unix.TimeToTimespec(now)
		return ts
	case ClientTime:
		return timespec(client)
	}
	return unix.Timespec{Nsec: utimeOmit}
}

// Stat tells how full the upper's file system is and what it can do.
func (fs *FS) Stat(s *FSStat) error {
	dir, err := fs.dirFD(fs.root, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	*s = FSStat{MaxFileSize: 1<<63 - 1, TimeDelta: Time{Nsec: 1}, FSID: fs.layers[0].dev}
	if fs.coarse {
		s.TimeDelta = Time{Sec: 1}
	}
	return sysStatfs(dir.fd, s)
}
