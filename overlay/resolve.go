package overlay

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxRetries bounds how often a resolution is tried again when names move
// under it.
const maxRetries = 16

// openAt opens name in the directory fd. When the process may open no more
// files, it closes what is only cached and tries again. Others can be faster: they get the
// time to give back what they hold.
func (fs *FS) openAt(fd int, name *byte, flags int, mode uint32) (int, error) {
	o, err := sysOpenAt(fd, name, flags, mode)
	for range maxRetries {
		if err != syscall.EMFILE && err != syscall.ENFILE {
			break
		}
		fs.files.shrink()
		time.Sleep(time.Millisecond)
		o, err = sysOpenAt(fd, name, flags, mode)
	}
	return o, err
}

// stackOf says in which layers a directory exists. Without lower layers it is
// the upper alone and costs nothing.
func (fs *FS) stackOf(n *node) (*stack, error) { return fs.stackFrom(n, nil) }

// stackFrom is stackOf for who looks for those that asked: a place in one of them leads
// nowhere.
func (fs *FS) stackFrom(n *node, asked *asked) (*stack, error) {
	s := n.dir.stack.Load()
	if fs.fresh(s) {
		return s, nil
	}
	if !fs.marked {
		return n.dir.setStack(nil, &stack{parts: []stackPart{{dir: new(partDir)}}}), nil
	}
	epoch := fs.epoch.Load()
	var next *stack
	err := n.tryPlaces(func(p *place) (err error) {
		if asked.has(p.parent) {
			return syscall.ESTALE
		}
		next, err = fs.findStack(n, p, s, asked.and(n))
		return err
	})
	if err != nil {
		return nil, err
	}
	next.epoch = epoch
	next.compare(s)
	if s == nil && epoch > 0 && n.dir.loaded {
		fs.mayHaveChanged(next)
	}
	return n.dir.setStack(s, next), nil
}

// asked are directories for which those above them are asked, from the last on. That
// directories have been in each other behind the server can make it a circle.
type asked struct {
	n  *node
	by *asked
}

func (a *asked) and(n *node) *asked { return &asked{n, a} }

func (a *asked) has(n *node) bool {
	for ; a != nil; a = a.by {
		if a.n == n {
			return true
		}
	}
	return false
}

// setStack replaces a stack that is not fresh, or nil, by the first that was found.
func (d *dirState) setStack(old, s *stack) *stack {
	if !d.stack.CompareAndSwap(old, s) {
		return d.stack.Load()
	}
	return s
}

// dirFD gives a descriptor of a directory in one layer; release it.
func (fs *FS) dirFD(n *node, layer int) (*openFile, error) { return fs.dirFrom(n, layer, nil) }

func (fs *FS) dirFrom(n *node, layer int, asked *asked) (*openFile, error) {
	s, err := fs.stackFrom(n, asked)
	if err != nil {
		return nil, err
	}
	for i := range s.parts {
		if s.parts[i].layer == layer {
			return fs.partFrom(n, &s.parts[i], asked)
		}
	}
	return nil, syscall.ESTALE
}

// partDir gives a descriptor of one part of a directory; release it.
func (fs *FS) partDir(n *node, part *stackPart) (*openFile, error) { return fs.partFrom(n, part, nil) }

func (fs *FS) partFrom(n *node, part *stackPart, asked *asked) (*openFile, error) {
	if f := part.dir.acquire(); f != nil {
		return f, nil
	}
	var f *openFile
	err := n.tryPlaces(func(p *place) (err error) {
		if asked.has(p.parent) {
			return syscall.ESTALE
		}
		f, err = fs.openPart(n, part, p, asked.and(n))
		return err
	})
	if n.places.Load() == nil { // who removed it may have emptied the slot before
		part.dir.drop()
	}
	return f, err
}

func (fs *FS) openPart(n *node, part *stackPart, p *place, asked *asked) (*openFile, error) {
	if p.parent == nil { // the root: its descriptors are always there
		return nil, syscall.ESTALE
	}
	if at := part.dir.where(); at != "" {
		fd, err := fs.openRedirected(p, part.layer, at, asked)
		if err != nil {
			return nil, gone(err)
		}
		return fs.files.put(&part.dir.fileSlot, fd, false), nil
	}
	up, err := fs.dirFrom(p.parent, part.layer, asked)
	if err != nil {
		return nil, err
	}
	defer up.release()
	name, err := fs.onDisk(part.layer, up.fd, cString(p.name))
	if err != nil {
		return nil, gone(err)
	}
	fd, err := fs.openPartAt(part.layer, up.fd, name)
	if err != nil {
		return nil, gone(err)
	}
	if part.layer == p.layer {
		var st sysStat
		if err := fs.verify(n, up.fd, p, fd, &st); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	return fs.files.put(&part.dir.fileSlot, fd, false), nil
}

// openPartAt opens one layer's part of a directory: in the upper, whatever its mode.
func (fs *FS) openPartAt(layer, dirfd int, name *byte) (int, error) {
	if layer == 0 {
		return fs.openHeld(dirfd, name, openDir)
	}
	return fs.openAt(dirfd, name, openDir, 0)
}

// gone turns the absence of a name that ought to be there into ESTALE.
func gone(err error) error {
	if err == syscall.ENOENT || err == syscall.ENOTDIR || err == syscall.ELOOP {
		return syscall.ESTALE
	}
	return err
}

// verify reports ESTALE when what was opened at a place is another object, and gives
// its attributes.
func (fs *FS) verify(n *node, dirfd int, p *place, fd int, st *sysStat) error {
	if err := sysFstat(fd, st); err != nil {
		return err
	}
	return fs.verifyStat(n, dirfd, p, st)
}

func (fs *FS) verifyStat(n *node, dirfd int, p *place, st *sysStat) error {
	return fs.verifyID(n, dirfd, p, fs.identity(p.layer, st))
}

func (fs *FS) verifyID(n *node, dirfd int, p *place, found ID) error {
	if found == n.behind() {
		return nil
	}
	id, err := fs.trueID(p.layer, dirfd, cString(p.name), found)
	if err != nil {
		return err
	}
	if id != n.id {
		return syscall.ESTALE
	}
	if p.layer == 0 { // else it was copied up meanwhile
		n.setBehind(found)
	}
	return nil
}

// stat gives an object's present attributes.
func (fs *FS) stat(n *node, st *sysStat) error {
	err := fs.statUnder(n, st)
	if err == nil && n.dir != nil {
		fs.showTimes(n, st)
	}
	return err
}

// statUnder gives the attributes of the file under n.
func (fs *FS) statUnder(n *node, st *sysStat) error {
	if f := fs.anyFile(n); f != nil {
		err := sysFstat(f.fd, st)
		f.release()
		if err != nil || st.nlink > 0 {
			return err
		}
		n.dropFile()
	}
	return n.tryPlaces(func(p *place) error { return fs.statPlace(n, p, st) })
}

func (fs *FS) statPlace(n *node, p *place, st *sysStat) error {
	if p.parent == nil {
		return syscall.ESTALE
	}
	dir, err := fs.dirFD(p.parent, p.layer)
	if err != nil {
		return err
	}
	defer dir.release()
	name, err := fs.onDisk(p.layer, dir.fd, cString(p.name))
	if err != nil {
		return gone(err)
	}
	if err := sysStatAt(dir.fd, name, st); err != nil {
		return gone(err)
	}
	return fs.verifyStat(n, dir.fd, p, st)
}

// anyFile gives a cached descriptor that stands for the object, or nil.
func (fs *FS) anyFile(n *node) *openFile {
	if n.dir == nil {
		return n.file.acquire()
	}
	if s := n.dir.stack.Load(); fs.fresh(s) {
		return s.parts[0].dir.acquire()
	}
	return nil
}

// dropFile closes what is cached for the object's uppermost part.
func (n *node) dropFile() {
	if n.dir == nil {
		n.file.drop()
	} else if s := n.dir.stack.Load(); s != nil {
		s.parts[0].dir.drop()
	}
}

// pinned is an object held by a descriptor while something is done to it.
type pinned struct {
	file *openFile // in the cache
	dir  *openFile
	target
}

func (p *pinned) release() {
	if p.file != nil {
		p.file.release()
	} else {
		p.drop()
	}
	if p.dir != nil {
		p.dir.release()
	}
}

// withPin calls f with what has a name: it is that for f, whatever gets the name meanwhile.
func (fs *FS) withPin(dirfd int, name *byte, f func(o target, st *sysStat) error) error {
	fd, err := fs.openAt(dirfd, name, openPin, 0)
	if err != nil {
		return err
	}
	return withOpen(fd, dirfd, name, f)
}

// withHeld is withPin for what is in the upper, whatever its mode.
func (fs *FS) withHeld(dirfd int, name *byte, f func(o target, st *sysStat) error) error {
	fd, err := fs.openHeld(dirfd, name, openPin)
	if err != nil {
		return err
	}
	return withOpen(fd, dirfd, name, f)
}

// withPinIn is withHeld for what is in the upper and withPin for what is not: that is never
// changed.
func (fs *FS) withPinIn(layer, dirfd int, name *byte, f func(o target, st *sysStat) error) error {
	if layer == 0 {
		return fs.withHeld(dirfd, name, f)
	}
	return fs.withPin(dirfd, name, f)
}

// withOpen calls f with what was opened, and closes it.
func withOpen(fd, dirfd int, name *byte, f func(o target, st *sysStat) error) error {
	defer unix.Close(fd)
	var st sysStat
	if err := sysFstat(fd, &st); err != nil {
		return err
	}
	own := cBytes(nameBytes(name)) // so that a caller's name can be on the stack
	return f(target{fd: fd, path: true, dirfd: dirfd, name: own}, &st)
}

// hold opens what has a name in the upper for a change of its attributes, and gives them.
// macOS opens no socket: one is changed by its name.
func (fs *FS) hold(dirfd int, name *byte, st *sysStat) (t target, err error) {
	t = target{path: true, dirfd: dirfd, name: name}
	if t.fd, err = fs.openHeld(dirfd, name, openPin); err == unix.EOPNOTSUPP {
		t.fd = -1
		return t, sysStatAt(dirfd, name, st)
	}
	if err != nil {
		return t, err
	}
	if err = sysFstat(t.fd, st); err != nil {
		t.drop()
	}
	return t, err
}

// stat gives the attributes of what is held, or of a socket by its name.
func (t target) stat(st *sysStat) error {
	if t.fd < 0 {
		return sysStatAt(t.dirfd, t.name, st)
	}
	return sysFstat(t.fd, st)
}

// drop lets go of what hold gave.
func (t target) drop() {
	if t.fd >= 0 {
		unix.Close(t.fd)
	}
}

// pin holds an object in the upper for a change of its attributes, and gives them.
func (fs *FS) pin(n *node, st *sysStat) (p *pinned, err error) {
	if n == fs.root {
		return fs.pinRoot(n, st)
	}
	err = n.tryPlaces(func(at *place) (err error) {
		p, err = fs.pinPlace(n, at, st)
		return err
	})
	return p, err
}

func (fs *FS) pinPlace(n *node, p *place, st *sysStat) (*pinned, error) {
	if p.layer != 0 {
		return nil, syscall.ESTALE
	}
	dir, err := fs.dirFD(p.parent, 0)
	if err != nil {
		return nil, err
	}
	if f := n.file.acquire(); f != nil {
		t := target{fd: f.fd, dirfd: dir.fd, name: cString(p.name)}
		return (&pinned{file: f, dir: dir, target: t}).with(st)
	}
	t, err := fs.hold(dir.fd, cString(p.name), st)
	if err == nil {
		if err = fs.verifyStat(n, dir.fd, p, st); err != nil {
			t.drop()
		}
	}
	if err != nil {
		dir.release()
		return nil, gone(err)
	}
	return &pinned{dir: dir, target: t}, nil
}

// with gives the attributes of what is held, or lets it go.
func (p *pinned) with(st *sysStat) (*pinned, error) {
	if err := sysFstat(p.fd, st); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

var dotName = [2]byte{'.', 0}

func (fs *FS) pinRoot(n *node, st *sysStat) (*pinned, error) {
	f := fs.anyFile(n)
	if f == nil {
		return nil, syscall.ESTALE
	}
	return (&pinned{file: f, target: dirTarget(f.fd)}).with(st)
}
