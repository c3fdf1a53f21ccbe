package overlay

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

// checkUpper looks through the upper.
func (c *checker) checkUpper() error {
	root := c.fs.root.dir.stack.Load().parts[0].dir.acquire()
	defer root.release()
	o := &object{fd: root.fd, name: &dotName[0], dir: c.o.Upper}
	if err := c.look(o); err != nil {
		return err
	}
	c.checkMarks(o)
	if err := c.checkDir(c.fs.root, o); err != nil {
		return err
	}
	if c.marked && o.marks[markLayered] == nil {
		c.found(kindMissingLayered, o.path(), "", func() error { return c.setMark(o, markLayered, []byte("y")) })
	}
	return nil
}

// upperDir is a directory of the upper that is looked through.
type upperDir struct {
	c    *checker
	node *node
	path string
	self object // the directory by the name "."
	// mark is the value of markOpaque: 'x', 'y' or 0.
	mark      byte
	impure    bool
	whiteouts int // that hide something, or may
	// sure says that a name which was not found below is in no lower layer: those were looked
	// in, or do not show.
	sure bool
}

// checkDir looks at what is in a directory of the upper, o.
func (c *checker) checkDir(n *node, o *object) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	s, err := c.fs.stackOf(n)
	if err != nil {
		return fmt.Errorf("find the layers of %s: %w", o.path(), err)
	}
	d := &upperDir{c: c, node: n, path: o.path(), impure: o.marks[markImpure] != nil}
	if v := o.marks[markOpaque]; len(v) == 1 {
		d.mark = v[0]
	}
	if o.marks[markHidden] != nil {
		d.whiteouts++ // or there soon will be
	}
	d.sure = d.mark == 'y' || len(c.o.Lowers) > 0
	defer drop(n)
	return c.enter(n, &s.parts[0], d.check)
}

// drop closes what was opened of a directory that is done with.
func drop(n *node) {
	s := n.dir.stack.Load()
	if n.places.Load().parent == nil || s == nil {
		return // a root's stay open
	}
	for i := range s.parts {
		s.parts[i].dir.drop()
	}
}

// enter opens one layer's part of a directory for f, with the owner's right to look in
// where that is a part of the upper.
func (c *checker) enter(n *node, part *stackPart, f func(fd int) error) error {
	dir, err := c.fs.partDir(n, part)
	if err != nil {
		return err
	}
	defer dir.release()
	var st sysStat
	if err := sysFstat(dir.fd, &st); err != nil {
		return err
	}
	const look = 0o500
	if part.layer != 0 || os.Geteuid() == 0 || st.mode&look == look {
		return f(dir.fd)
	}
	return c.fs.allowed(dir.fd, &dotName[0], 0o700, func() error { return f(dir.fd) })
}

// dirNames are the entries of a directory, one after another: type, inode number and
// name.
type dirNames []byte

func (c *checker) names(fd int) (l dirNames, err error) {
	err = c.fs.listDir(fd, func(_ int, ino uint64, typ uint8, name []byte) error {
		l = appendName(l, ino, typ, name)
		return nil
	})
	return l, err
}

func (d *upperDir) check(fd int) error {
	d.self = object{fd: fd, name: &dotName[0], dir: d.path}
	l, err := d.c.names(fd)
	if err != nil {
		return fmt.Errorf("list %s: %w", d.path, err)
	}
	for len(l) > 0 {
		var e dirName
		e, l = l.next()
		if err := d.entry(fd, e.name); err != nil {
			return err
		}
	}
	if d.mark == 'x' && d.whiteouts == 0 {
		d.c.found(kindNeedlessMark, d.path, "", func() error { return d.c.removeMark(&d.self, markOpaque) })
	}
	return nil
}

func (d *upperDir) entry(fd int, name *byte) error {
	o := &object{fd: fd, name: name, dir: d.path}
	if stands, err := d.c.checkName(d.node, o); err != nil || !stands {
		return err
	}
	if err := d.c.look(o); err != nil {
		return err
	}
	var below found
	err := d.c.fs.findBelow(d.node, name, &below)
	if err != nil && err != syscall.ENOENT {
		return fmt.Errorf("look for %s in the lower directories: %w", o.path(), err)
	}
	hides := err == nil
	if o.isWhiteout() {
		return d.whiteout(o, hides, &below)
	}
	d.c.checkMarks(o)
	if o.st.isDir() {
		return d.subdir(o, hides, &below)
	}
	if hides {
		if err := d.c.hidden(d.node, o, &below); err != nil {
			return err
		}
	}
	d.origin(o, hides && d.c.fs.identity(below.layer, &below.st) == o.origin(), &below)
	return nil
}

// checkName reports whether a name stands for one that clients see.
func (c *checker) checkName(d *node, o *object) (stands bool, err error) {
	if !c.fs.escaped || d == c.fs.root && goString(o.name)+"\x00" == longNamesDir {
		return !c.fs.escaped, nil
	}
	stored := []byte(goString(o.name))
	name, err := c.fs.shown(stored)
	switch {
	case err != nil:
		return false, fmt.Errorf("find out what %s stands for: %w", o.path(), err)
	case name != nil:
	case isLongName(stored):
		c.found(kindLostName, o.path(), "", nil)
	default:
		c.found(kindForeignName, o.path(), "", nil)
	}
	return name != nil, nil
}

// whiteout looks at one that is in force or ought to be. Without lower directories
// nobody can tell whether it hides anything, but in an opaque directory it cannot.
func (d *upperDir) whiteout(o *object, hides bool, below *found) error {
	c := d.c
	if !hides && d.sure {
		c.found(kindOrphanWhiteout, o.path(), "", func() error {
			return c.fs.ifAllowed(o.fd, &dotName[0], 0o700, func() error { return sysUnlinkAt(o.fd, o.name, 0) })
		})
		return nil
	}
	d.whiteouts++
	if d.mark == 0 && !isWhiteoutDevice(&o.st) {
		d.mark = 'x'
		c.found(kindUnmarkedWhiteouts, d.path, "", func() error { return c.setMark(&d.self, markOpaque, []byte("x")) })
	}
	if !hides {
		return nil
	}
	return c.hidden(d.node, o, below)
}

func (d *upperDir) subdir(o *object, hides bool, below *found) error {
	c := d.c
	n := newNode(c.fs.identity(0, &o.st), ModeDir)
	n.places.Store(&place{parent: d.node, name: goString(o.name) + "\x00"})
	s, err := c.redirected(n, o)
	if err == syscall.EACCES || err == syscall.EINVAL {
		c.unsure = true
		c.found(kindUnreadable, o.path(), "", nil)
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the layers of %s: %w", o.path(), err)
	}
	merged, proven := false, false
	for _, part := range s.below() {
		merged = merged || hides && part.id == c.fs.identity(below.layer, &below.st)
		proven = proven || part.id == o.origin()
	}
	if hides && !merged {
		if err := c.hidden(d.node, o, below); err != nil {
			return err
		}
		proven = proven || c.fs.identity(below.layer, &below.st) == o.origin()
	}
	d.origin(o, proven, below)
	return c.checkDir(n, o)
}

// redirected gives the layers of a directory. One with a redirect that leads nowhere
// is in the upper alone.
func (c *checker) redirected(n *node, o *object) (*stack, error) {
	to, opaque := o.marks[markRedirect], string(o.marks[markOpaque]) == "y"
	if to == nil || opaque || len(c.o.Lowers) == 0 {
		return c.fs.stackOf(n)
	}
	k := kindLostRedirect
	if _, err := checkRedirect(string(to)); err != nil || len(to) > maxRedirect {
		k = kindBadRedirect
		c.unsure, c.again = true, true
	} else if s, err := c.fs.stackOf(n); err != nil || len(s.parts) > 1 {
		return s, err
	}
	c.found(k, o.path(), "to "+quoted(to), func() error {
		if err := c.setMark(o, markOpaque, []byte("y")); err != nil {
			return err
		}
		return c.removeMark(o, markRedirect)
	})
	o.marks[markOpaque] = []byte("y")
	return n.dir.setStack(nil, &stack{parts: []stackPart{{dir: new(partDir), whiteouts: true}}}), nil
}

// dirName is one entry of dirNames.
type dirName struct {
	ino  uint64
	typ  uint8
	name *byte
}

const nameHead = 9

func appendName(l dirNames, ino uint64, typ uint8, name []byte) dirNames {
	for i := range 8 {
		l = append(l, byte(ino>>(8*i)))
	}
	return append(append(append(l, typ), name...), 0)
}

func (l dirNames) next() (e dirName, rest dirNames) {
	for i := range 8 {
		e.ino |= uint64(l[i]) << (8 * i)
	}
	e.typ, e.name = l[8], &l[nameHead]
	size := bytes.IndexByte(l[nameHead:], 0)
	return e, l[nameHead+size+1:]
}
