package overlay

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// lowerObject is what has to be found out of an object of a lower layer.
type lowerObject struct {
	// copy is the path of its copy in the upper, where the index does not know that.
	// doubtful says that it was not found where it was copied up.
	copy     string
	doubtful bool
	indexed  *indexEntry // nil: it is not in the index

	exists, isDir bool
	nlink         int32
	// all counts the names of the lower layers that show it without the upper, shown
	// those of them that show it with the upper.
	all, shown int32
}

func (c *checker) lowerObject(id ID) *lowerObject {
	l := c.lower[id]
	if l == nil {
		l = new(lowerObject)
		c.lower[id] = l
	}
	return l
}

func (l *lowerObject) claim(path string, doubtful bool) {
	if l.copy == "" {
		l.copy, l.doubtful = path, doubtful
	}
	l.doubtful = l.doubtful && doubtful
}

// hidden notes the files with several names that something in the upper hides.
func (c *checker) hidden(parent *node, o *object, below *found) error {
	if !below.st.isDir() {
		c.severalNames(c.fs.identity(below.layer, &below.st), &below.st)
		return nil
	}
	n := newNode(c.fs.identity(below.layer, &below.st), ModeDir)
	n.places.Store(&place{parent: parent, name: goString(o.name) + "\x00", layer: below.layer})
	v := viewer{c: c, want: func(uint64) bool { return true }, visit: c.severalNames}
	return v.dir(n)
}

func (c *checker) severalNames(id ID, st *sysStat) {
	if !st.isDir() && st.nlink > 1 {
		c.lowerObject(id)
	}
}

// checkLower looks for what the upper and the index say of lower objects. Only who
// has something to look for walks the lower directories.
func (c *checker) checkLower() error {
	if len(c.lower) == 0 || len(c.o.Lowers) == 0 {
		return nil
	}
	want := c.wanted()
	parts := c.fs.root.dir.stack.Load().parts
	count := func(n func(*lowerObject) *int32) func(ID, *sysStat) {
		return func(id ID, st *sysStat) {
			if l := c.lower[id]; l != nil {
				l.exists, l.isDir, l.nlink = true, st.isDir(), int32(st.nlink)
				*n(l)++
			}
		}
	}
	all := viewer{c: c, want: want, visit: count(func(l *lowerObject) *int32 { return &l.all })}
	if err := all.dir(rootOf(parts[1:])); err != nil {
		return err
	}
	shown := viewer{c: c, want: want, visit: count(func(l *lowerObject) *int32 { return &l.shown })}
	if err := shown.dir(c.fs.root); err != nil {
		return err
	}
	for i := 1; i < len(parts) && c.anyLost(); i++ {
		layer := viewer{c: c, want: want, visit: count(func(*lowerObject) *int32 { return new(int32) })}
		if err := layer.dir(rootOf([]stackPart{{layer: parts[i].layer, dir: parts[i].dir}})); err != nil {
			return err
		}
	}
	return c.judge()
}

// rootOf makes a root of some layers.
func rootOf(parts []stackPart) *node {
	n := newNode(ID{}, ModeDir)
	n.places.Store(&place{name: "\x00"})
	n.dir.stack.Store(&stack{steady: true, parts: parts})
	return n
}

// wanted gives the test whether a fileid is looked for. Of file systems mounted in a
// layer, fileids do not tell.
func (c *checker) wanted() func(fileid uint64) bool {
	ids := make(map[uint64]struct{}, len(c.lower))
	all := false
	for id := range c.lower {
		ids[id.Fileid] = struct{}{}
		all = all || id.Fileid>>63 != 0
	}
	return func(fileid uint64) bool {
		_, ok := ids[fileid]
		return ok || all
	}
}

// anyLost reports whether an object was not found where anybody could see it.
func (c *checker) anyLost() bool {
	for _, l := range c.lower {
		if l.doubtful && !l.exists {
			return true
		}
	}
	return false
}

// viewer walks a merged tree and visits what lower layers show in it.
type viewer struct {
	c     *checker
	want  func(fileid uint64) bool
	visit func(ID, *sysStat)
}

type childDir struct {
	id    ID
	name  string
	layer int
}

func (v *viewer) dir(n *node) error {
	if err := v.c.ctx.Err(); err != nil {
		return err
	}
	s, err := v.c.fs.stackOf(n)
	if err != nil {
		return v.unread(err)
	}
	defer drop(n)
	var dirs []childDir
	var seen map[string]struct{}
	if len(s.parts) > 1 {
		seen = map[string]struct{}{}
	}
	for i := range s.parts {
		err := v.c.enter(n, &s.parts[i], func(fd int) (err error) {
			dirs, err = v.part(fd, &s.parts[i], seen, dirs)
			return err
		})
		if err != nil && v.unread(err) != nil {
			return fmt.Errorf("look through %s of %s: %w", n.places.Load().plain(), v.c.fs.layers[s.parts[i].layer].path, err)
		}
	}
	for _, d := range dirs {
		child := newNode(d.id, ModeDir)
		child.places.Store(&place{parent: n, name: d.name, layer: d.layer})
		if err := v.dir(child); err != nil {
			return err
		}
	}
	return nil
}

// unread notes that a lower directory could not be read, or has a redirect that is no
// path, which is no failure.
func (v *viewer) unread(err error) error {
	if err == syscall.EACCES || err == syscall.EINVAL {
		v.c.unsure = true
		return nil
	}
	return err
}

// part goes through one layer's names that no layer above has.
func (v *viewer) part(fd int, part *stackPart, seen map[string]struct{}, dirs []childDir) ([]childDir, error) {
	l, err := v.c.names(fd)
	for err == nil && len(l) > 0 {
		var e dirName
		e, l = l.next()
		var name []byte
		if name, err = v.c.fs.inside(part.layer, []byte(goString(e.name))); err != nil {
			break
		}
		ok := name != nil
		if seen != nil && ok {
			_, above := seen[string(name)]
			seen[string(name)] = struct{}{}
			ok = !above
		}
		if !ok {
			continue
		}
		var d *childDir
		if d, err = v.entry(fd, part, &e); d != nil {
			d.name = string(name) + "\x00"
			dirs = append(dirs, *d)
		}
	}
	return dirs, err
}

// entry visits what a name stands for, if it is looked for, and gives a directory back.
func (v *viewer) entry(fd int, part *stackPart, e *dirName) (*childDir, error) {
	l := &v.c.fs.layers[part.layer]
	maybeWhiteout := part.whiteouts && e.typ == unix.DT_REG || e.typ == unix.DT_CHR
	wanted := part.layer != 0 && (l.hfsplus || v.want(l.space<<spaceShift|e.ino))
	if !maybeWhiteout && !wanted && e.typ != unix.DT_UNKNOWN && e.typ != unix.DT_DIR {
		return nil, nil
	}
	var st sysStat
	if err := sysStatAt(fd, e.name, &st); err != nil {
		return nil, err
	}
	if hidden, err := v.c.fs.hides(part, fd, e.name, &st); hidden || err != nil {
		return nil, err
	}
	id := v.c.fs.identity(part.layer, &st)
	if part.layer != 0 {
		v.visit(id, &st)
	}
	if !st.isDir() {
		return nil, nil
	}
	return &childDir{id: id, layer: part.layer}, nil
}

// judge says what is wrong, now that all is known.
func (c *checker) judge() error {
	if c.unsure {
		return nil
	}
	ids := slices.SortedFunc(maps.Keys(c.lower), func(a, b ID) int {
		return cmp.Or(cmp.Compare(a.Fileid, b.Fileid), cmp.Compare(a.Gen, b.Gen))
	})
	for _, id := range ids {
		l := c.lower[id]
		if l.doubtful && !c.judgeOrigin(l) || l.isDir {
			continue
		}
		switch {
		case l.indexed != nil:
			c.judgeIndexed(id, l)
		case l.copy != "":
			c.judgeCopy(id, l)
		default:
			c.judgeCount(id, l)
		}
	}
	return nil
}

// judgeOrigin reports whether the copy of an object may keep its ID.
func (c *checker) judgeOrigin(l *lowerObject) bool {
	switch {
	case !l.exists:
		c.found(kindLostOrigin, l.copy, "", c.removeOrigin(l.copy))
	case l.shown > 0 && (l.isDir || l.nlink == 1):
		c.found(kindSharedOrigin, l.copy, "", c.removeOrigin(l.copy))
	default:
		return true
	}
	return false
}
