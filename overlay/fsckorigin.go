package overlay

import (
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// origin gives the ID that an object's mark says, or none.
func (o *object) origin() ID {
	id, _ := decodeOrigin(o.marks[markOrigin])
	return id
}

// origin looks at what a copied-up object carries. proven says that the lower object
// is where a copy-up finds it, by the name below.
func (d *upperDir) origin(o *object, proven bool, below *found) {
	c := d.c
	inode := c.fs.identity(0, &o.st)
	if _, indexed := c.inIndex[inode]; !indexed {
		id := o.origin()
		if id == (ID{}) {
			return
		}
		if !c.claim(o, id, inode, proven) {
			return
		}
		if !proven {
			c.lowerObject(id).claim(o.path(), true)
		} else if !o.st.isDir() && below.st.nlink > 1 {
			c.lowerObject(id).claim(o.path(), false)
		}
	}
	if !d.impure {
		d.impure = true
		c.found(kindMissingImpure, d.path, "", func() error { return c.setMark(&d.self, markImpure, []byte("y")) })
	}
}

// claim notes that an object has an ID. Of two with one ID it keeps that which is
// where it was copied up, or else the first.
func (c *checker) claim(o *object, id, inode ID, proven bool) bool {
	was, ok := c.origins[id]
	if !ok || was == inode {
		c.origins[id] = inode
		return true
	}
	other := c.lower[id]
	if !proven || other == nil || !other.doubtful {
		c.found(kindSharedOrigin, o.path(), "", func() error { return c.removeMark(o, markOrigin) })
		return false
	}
	c.found(kindSharedOrigin, other.copy, "", c.removeOrigin(other.copy))
	delete(c.lower, id)
	c.origins[id] = inode
	return true
}

func (c *checker) removeOrigin(path string) func() error {
	return func() error {
		return c.at(path, func(fd int, name *byte) error {
			return c.removeMark(&object{fd: fd, name: name}, markOrigin)
		})
	}
}

// at calls f with the directory that a path of the upper leads to and the last name,
// with the owner's right to look into the directories.
func (c *checker) at(path string, f func(fd int, name *byte) error) error {
	rel, err := filepath.Rel(c.o.Upper, path)
	if err != nil {
		return err
	}
	root := c.fs.root.dir.stack.Load().parts[0].dir.acquire()
	defer root.release()
	return c.atBelow(root.fd, strings.Split(rel, "/"), f)
}

func (c *checker) atBelow(fd int, names []string, f func(fd int, name *byte) error) error {
	name := cString(names[0] + "\x00")
	if len(names) == 1 {
		return f(fd, name)
	}
	next := -1
	err := c.fs.ifAllowed(fd, &dotName[0], 0o500, func() (err error) {
		next, err = c.fs.openAt(fd, name, openDir, 0)
		return err
	})
	if err != nil {
		return err
	}
	defer unix.Close(next)
	if unix.Faccessat(next, ".", unix.X_OK, unix.AT_EACCESS) == syscall.EACCES {
		return c.fs.allowed(next, &dotName[0], 0o500, func() error { return c.atBelow(next, names[1:], f) })
	}
	return c.atBelow(next, names[1:], f)
}
