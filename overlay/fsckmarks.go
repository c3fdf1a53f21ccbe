package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// object is a name in a directory that is open, and what is there.
type object struct {
	fd    int // of the directory
	name  *byte
	dir   string // the directory's path
	st    sysStat
	marks map[string][]byte // nil: none
}

// isRoot reports whether the object is what is looked through.
func (o *object) isRoot() bool { return o.name == &dotName[0] }

func (o *object) path() string {
	if o.isRoot() {
		return o.dir
	}
	return o.dir + "/" + goString(o.name)
}

func (o *object) isWhiteout() bool {
	return isWhiteoutDevice(&o.st) || o.st.typ() == ModeRegular && o.st.size == 0 && o.marks[markWhiteout] != nil
}

// look reads an object's attributes and marks.
func (c *checker) look(o *object) error {
	if err := sysStatAt(o.fd, o.name, &o.st); err != nil {
		return fmt.Errorf("look at %s: %w", o.path(), err)
	}
	names, err := c.markNames(o)
	if err != nil || len(names) == 0 {
		return err
	}
	o.marks = make(map[string][]byte, len(names))
	for _, name := range names {
		value, err := c.readMark(o, name)
		if err != nil {
			return err
		}
		o.marks[name] = value
		c.marked = c.marked || name != markLayered && name != markNames
	}
	return nil
}

// listSize is what the system gives at most of the names of an object's xattrs;
// markSize bounds the values that are looked at.
const listSize, markSize = 64 << 10, maxRedirect

// quoted shows a mark's value to a reader.
func quoted(value []byte) string {
	const enough = 64
	switch {
	case len(value) > markSize:
		return "too long"
	case len(value) > enough:
		return fmt.Sprintf("%q…", value[:enough])
	}
	return strconv.Quote(string(value))
}

func (c *checker) markNames(o *object) (names []string, err error) {
	if c.list == nil {
		c.list, c.value = make([]byte, listSize), make([]byte, markSize)
	}
	n, err := listMarks(o.fd, o.name, c.list)
	if err == syscall.EACCES {
		err = c.fs.allowed(o.fd, o.name, 0o400, func() error {
			n, err = listMarks(o.fd, o.name, c.list)
			return err
		})
	}
	if err != nil {
		if noMark(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("list the marks of %s: %w", o.path(), err)
	}
	for _, name := range splitNames(c.list[:n]) {
		if isOwnMark(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (c *checker) readMark(o *object, name string) ([]byte, error) {
	var n int
	err := c.fs.withPin(o.fd, o.name, func(t target, _ *sysStat) (err error) {
		n, _, err = c.fs.readMark(0, t, name, c.value)
		return err
	})
	if errors.Is(err, unix.ERANGE) {
		return make([]byte, markSize+1), nil // zeros, which are nothing that is right
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", name, o.path(), err)
	}
	return append([]byte{}, c.value[:n]...), nil
}

// checkMarks looks at the marks of an object that is no whiteout, but for those that
// say something about what is inside.
func (c *checker) checkMarks(o *object) {
	for _, mark := range slices.Sorted(maps.Keys(o.marks)) {
		value := o.marks[mark]
		if k, set := c.badMark(o, mark, value); k != nil {
			c.found(k, o.path(), mark+" is "+quoted(value), c.mender(k, o, mark, set))
			if k == kindCutExchange {
				c.unsure, c.again = true, true
			} else if set == "" && k.mend != "" {
				delete(o.marks, mark)
			}
		}
	}
}

// mender gives what mends a mark: it is set, or removed where set is empty.
func (c *checker) mender(k *kind, o *object, mark, set string) func() error {
	if k.mend == "" {
		return nil
	}
	if k == kindCutExchange {
		return func() error { return c.finishExchange(o) }
	}
	if set == "" {
		return func() error { return c.removeMark(o, mark) }
	}
	return func() error { return c.setMark(o, mark, []byte(set)) }
}

func (c *checker) finishExchange(o *object) error {
	return c.fs.withPin(o.fd, o.name, func(t target, _ *sysStat) error { return c.fs.finishExchange(t) })
}

// badMark tells what is wrong with a mark, and what it has to be set to; nil: nothing.
func (c *checker) badMark(o *object, mark string, value []byte) (k *kind, set string) {
	isDir, v := o.st.isDir(), string(value)
	switch mark {
	case markWhiteout:
		return kindFalseWhiteout, ""
	case markOpaque:
		if !isDir || v != "x" && v != "y" {
			return kindBadOpaque, ""
		}
	case markImpure:
		if isDir && v != "y" {
			return kindBadImpure, "y"
		}
	case markOrigin:
		return c.badOrigin(o, value), ""
	case markRedirect: // see subdir
	case markHidden:
		if isDir {
			return kindCutExchange, ""
		}
	case markLayered:
		if o.isRoot() && v != "y" {
			return kindBadLayered, "y"
		}
	default:
		if !knownMark(mark) {
			return kindUnknownMark, ""
		}
	}
	if c.stray(o, mark, value) {
		return kindStrayMark, ""
	}
	return nil, ""
}

// stray reports a mark where none of its kind can be.
func (c *checker) stray(o *object, mark string, value []byte) bool {
	switch mark {
	case markImpure, markRedirect, markHidden:
		return !o.st.isDir()
	case markLayered, markNames:
		return !o.isRoot()
	case markLinks:
		_, indexed := c.inIndex[c.fs.identity(0, &o.st)]
		return !indexed && (o.st.isDir() || len(value) != linksLen)
	}
	return false
}

// knownMark reports whether a mark can be ours, or is one of the kernel's that says
// nothing about names and data (fs/overlayfs/overlayfs.h).
func knownMark(mark string) bool {
	switch strings.TrimPrefix(mark, markPrefix) {
	case "origin", "nlink", "upper", "uuid", "protattr":
		return true
	}
	return mark == markLinks || mark == markNames
}

// badOrigin leaves the origins of what is in the index to checkIndex.
func (c *checker) badOrigin(o *object, value []byte) *kind {
	if _, indexed := c.inIndex[c.fs.identity(0, &o.st)]; indexed {
		return nil
	}
	if _, ok := decodeOrigin(value); !ok {
		return kindBadOrigin
	}
	return nil
}

// Changes of marks take the owner's right to make them.

func (c *checker) setMark(o *object, mark string, value []byte) error {
	return c.fs.ifAllowed(o.fd, o.name, 0o600, func() error { return setMark(o.fd, o.name, mark, value) })
}

func (c *checker) removeMark(o *object, mark string) error {
	return c.fs.ifAllowed(o.fd, o.name, 0o600, func() error { return dropMark(o.fd, o.name, mark) })
}

// linksLen is the length of markLinks's value.
const linksLen = 4

func linksOf(marks map[string][]byte) (int32, bool) {
	b := marks[markLinks]
	if len(b) != linksLen {
		return 0, false
	}
	return int32(binary.BigEndian.Uint32(b)), true
}
