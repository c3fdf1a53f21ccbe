package overlay

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// openData gives a descriptor for a regular file's data; release it. A writable
// one is only to be had of a file in the upper. Where the file had to be opened, which is
// what fresh says, its attributes are known.
func (fs *FS) openData(n *node, write bool, st *sysStat) (f *openFile, fresh bool, err error) {
	if err := dataType(n); err != nil {
		return nil, false, err
	}
	if f := n.file.acquire(); f != nil {
		if f.writable || !write {
			fs.nodes.shard(n.id.Fileid).hits.Add(1)
			return f, false, nil
		}
		f.release()
	}
	err = n.tryPlaces(func(p *place) (err error) {
		f, err = fs.openPlace(n, p, write, st)
		return err
	})
	fs.tallies.opened.Add(1)
	if n.places.Load() == nil { // who removed it may have emptied the slot before
		n.file.drop()
	}
	return f, true, err
}

// dataType gives the error of data calls on what is no regular file.
func dataType(n *node) error {
	switch {
	case n.isDir():
		return syscall.EISDIR
	case !n.isRegular():
		return syscall.EINVAL
	}
	return nil
}

func (fs *FS) openPlace(n *node, p *place, write bool, st *sysStat) (*openFile, error) {
	dir, err := fs.dirFD(p.parent, p.layer)
	if err != nil {
		return nil, err
	}
	defer dir.release()
	if write && p.layer != 0 {
		return nil, syscall.ESTALE
	}
	name, err := fs.onDisk(p.layer, dir.fd, cString(p.name))
	if err != nil {
		return nil, gone(err)
	}
	flags := openRead
	if write {
		flags = openWrite
	}
	fd, err := fs.openAt(dir.fd, name, flags, 0)
	if err != nil { // the mode may forbid it, or the name be another object's by now
		fd, err = fs.openOwned(n, p, dir.fd, name, flags)
	}
	if err != nil {
		return nil, err
	}
	if err := fs.verify(n, dir.fd, p, fd, st); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if write {
		return fs.files.replace(&n.file, fd, true), nil
	}
	if p.layer != 0 {
		return fs.putLower(n, fd)
	}
	return fs.files.put(&n.file, fd, false), nil
}

// putLower caches a descriptor of a lower file, unless the file was copied up
// since it was opened: what is cached stands for the object.
func (fs *FS) putLower(n *node, fd int) (*openFile, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.places.Load(); p == nil || p.layer == 0 {
		unix.Close(fd)
		return nil, syscall.ESTALE
	}
	return fs.files.put(&n.file, fd, false), nil
}

// openOwned opens a file that could not just be opened: the mode may forbid it to its
// owner, or the name have gone to another object. NFS has no open: a client that opened a
// file before it became 0444 goes on to write to it, and the server may have to open it anew
// for that. ESTALE says that the place is another object's: no error of opening that one is
// this one's.
func (fs *FS) openOwned(n *node, p *place, dirfd int, name *byte, flags int) (fd int, err error) {
	fd = -1
	need := uint32(0o400)
	if flags == openWrite {
		need = 0o600
	}
	err = fs.withPinIn(p.layer, dirfd, name, func(o target, st *sysStat) error {
		if err := fs.verifyStat(n, dirfd, p, st); err != nil {
			return err
		}
		open := func() (err error) {
			fd, err = fs.openAt(o.again(flags))
			return err
		}
		err := open()
		if err == syscall.EACCES && p.layer == 0 && !fs.readOnly {
			err = fs.allowedOn(o, dirfd, name, need, open)
		}
		return err
	})
	if err != nil && fd >= 0 { // its mode could not be put back
		unix.Close(fd)
	}
	return fd, gone(err)
}

// Read reads a regular file. Where the caller must not wait it only reads what
// is in memory, if the system can tell.
func (fs *FS) Read(c Caller, id ID, p []byte, off uint64, a *Attr) (n int, eof bool, err error) {
	defer leave(fs.enter(id))
	o, err := fs.node(id)
	if err != nil {
		return 0, false, err
	}
	var st sysStat
	f, fresh, err := fs.openData(o, false, &st)
	if err != nil {
		return 0, false, err
	}
	defer f.release()
	for range maxRetries {
		n, eof, err = fs.readOnce(c, f.fd, p, off, fresh, &st)
		if err != nil {
			return 0, false, err
		}
		if n > 0 || eof || len(p) == 0 {
			fs.fill(o, &st, a)
			return n, eof, nil
		}
		fresh = false
	}
	return 0, false, syscall.EAGAIN
}

// readOnce gives the attributes too. It can read nothing and meet no end where the file was
// shorter for a moment, which clients take for an error of the disk.
func (fs *FS) readOnce(c Caller, fd int, p []byte, off uint64, fresh bool, st *sysStat) (n int, eof bool, err error) {
	if off < 1<<63 {
		n, err = fs.readAt(c, fd, p, int64(off))
	}
	end := off + uint64(n)
	if err == nil && (!fresh || end > st.size) { // else those from before the read do
		err = sysFstat(fd, st)
	}
	if err == nil && end < st.size && n < len(p) && !c.MayBlock {
		err = ErrWouldBlock
	}
	return n, end >= st.size, err
}

func (fs *FS) readAt(c Caller, fd int, p []byte, off int64) (int, error) {
	if c.MayBlock || fs.noNowait.Load() {
		return sysPread(fd, p, off)
	}
	n, err := sysPreadNow(fd, p, off)
	switch err {
	case syscall.EAGAIN:
		return 0, ErrWouldBlock
	case syscall.EOPNOTSUPP, syscall.ENOSYS:
		fs.noNowait.Store(true)
		return sysPread(fd, p, off)
	}
	return n, err
}

// Write writes all of p. DataSync and FileSync return when it is on disk.
func (fs *FS) Write(c Caller, id ID, p []byte, off uint64, how Stability, w *Change) error {
	defer leave(fs.enter(id))
	if off+uint64(len(p)) > 1<<63-1 || off > 1<<63-1 {
		return syscall.EFBIG
	}
	n, err := fs.changeable(c, id)
	if err != nil {
		return err
	}
	if how != Unstable && !c.MayBlock {
		return ErrWouldBlock
	}
	losses := fs.losses.Load()
	f, err := fs.write(c, n, p, off, w)
	if f == nil {
		return err
	}
	defer f.release()
	if err != nil || how == Unstable {
		return err
	}
	err = fs.sync(f)
	if err == nil && fs.losses.Load() != losses {
		err = syscall.EAGAIN // another was told of what can be this call's
	}
	return err
}

// sync puts what was written to the file on disk. The system tells of what it could not write
// only once, and takes it for written then: the next call would find nothing wrong. So losses are
// counted, and no call returns before those beside it on the same descriptor have counted theirs.
func (fs *FS) sync(f *openFile) error {
	f.syncs.RLock()
	err := sysFsync(f.fd)
	if err != nil {
		fs.losses.Add(1)
	}
	f.syncs.RUnlock()
	if err == nil {
		f.waitForSyncs()
	}
	return err
}

// Losses counts how often data could not be put on disk. That of calls that have succeeded can
// be lost each time, whoever made them.
func (fs *FS) Losses() uint64 { return fs.losses.Load() }

// write gives the file that it wrote to, where it could be opened.
func (fs *FS) write(c Caller, n *node, p []byte, off uint64, w *Change) (*openFile, error) {
	if err := acquire(c, &n.mu); err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	var st sysStat
	f, fresh, err := fs.openData(n, true, &st)
	if err != nil {
		return nil, err
	}
	if !fresh {
		if err := sysFstat(f.fd, &st); err != nil {
			return f, err
		}
	}
	w.before(&st)
	err = sysPwrite(f.fd, p, int64(off))
	if e := sysFstat(f.fd, &st); e == nil {
		w.HasPost = true
		fs.fill(n, &st, &w.Post)
	}
	return f, err
}

// Commit puts what was written to a regular file on disk. Of other objects, and of
// files in lower layers, nothing can be dirty.
func (fs *FS) Commit(c Caller, id ID, _, _ uint64, w *Change) error {
	defer leave(fs.enter(id))
	n, err := fs.node(id)
	if err != nil {
		return err
	}
	if !c.MayBlock {
		return ErrWouldBlock
	}
	defer fs.after(n, w)
	var st sysStat
	if p := n.places.Load(); p == nil || p.layer != 0 || !n.isRegular() {
		if err := fs.stat(n, &st); err != nil {
			return err
		}
		w.before(&st)
		return nil // nothing of it can be dirty
	}
	f, fresh, err := fs.openData(n, false, &st)
	if err != nil {
		return err
	}
	defer f.release()
	if !fresh {
		if err := sysFstat(f.fd, &st); err != nil {
			return err
		}
	}
	w.before(&st)
	return fs.sync(f)
}

// maxTarget bounds a symbolic link's target, as PATH_MAX does.
const maxTarget = 4096

// Readlink appends a symbolic link's target to buf.
func (fs *FS) Readlink(id ID, buf []byte, a *Attr) ([]byte, error) {
	defer leave(fs.enter(id))
	n, err := fs.node(id)
	if err != nil {
		return buf, err
	}
	if n.typ != ModeSymlink {
		return buf, syscall.EINVAL
	}
	var st sysStat
	err = n.tryPlaces(func(p *place) (err error) {
		buf, err = fs.readlinkAt(n, p, buf, &st)
		return err
	})
	if err == nil {
		fs.fill(n, &st, a)
	}
	return buf, err
}

// readlinkAt reads the link at a place, and its attributes. Its name can go to another link
// meanwhile: where it may have, the link is held.
func (fs *FS) readlinkAt(n *node, p *place, buf []byte, st *sysStat) ([]byte, error) {
	dir, err := fs.dirFD(p.parent, p.layer)
	if err != nil {
		return buf, err
	}
	defer dir.release()
	name, err := fs.onDisk(p.layer, dir.fd, cString(p.name))
	if err != nil {
		return buf, gone(err)
	}
	var b [maxTarget]byte
	changing := p.parent.dir.changing.Load()
	size, err := sysReadlinkAt(dir.fd, name, b[:])
	if err == nil {
		err = sysStatAt(dir.fd, name, st)
	}
	if err == nil {
		err = fs.verifyStat(n, dir.fd, p, st)
	}
	if err != nil || changing%2 == 1 || p.parent.dir.changing.Load() != changing {
		size, err = fs.readlinkHeld(n, p, dir.fd, name, b[:], st)
	}
	if err != nil {
		return buf, err
	}
	return append(buf, b[:size]...), nil
}

func (fs *FS) readlinkHeld(n *node, p *place, dirfd int, name *byte, b []byte, st *sysStat) (size int, err error) {
	err = fs.withPin(dirfd, name, func(o target, now *sysStat) (err error) {
		*st = *now
		if err := fs.verifyStat(n, dirfd, p, st); err != nil {
			return err
		}
		size, err = o.readlink(b)
		return err
	})
	return size, gone(err)
}
