package overlay

import (
	"slices"
	"strings"
	"syscall"
	"time"
)

// floor is what a directory's times are shown as at least, so that clients see that
// its merged names may have changed. The directory's own times, those of its uppermost
// part, tell nothing of the parts below. Nothing on disk changes.
type floor struct{ mtime, ctime Time }

// fresh reports whether a stack was found since the last refresh.
func (fs *FS) fresh(s *stack) bool {
	return s != nil && (s.steady || s.epoch == fs.epoch.Load())
}

// with copies a stack with other parts.
func (s *stack) with(parts []stackPart) *stack {
	next := *s
	next.parts = parts
	return &next
}

// lost reports whether a part below the first has vanished from its layer behind our
// back: no name is there any more.
func (s *stack) lost(i int, err error) bool { return i > 0 && err == syscall.ESTALE }

// onlyIn reports whether a directory inside this one can only be in the one layer where
// it was: no other has names here.
func (s *stack) onlyIn(old *stack) bool {
	return old != nil && old.redirect == "" && len(s.parts) == 1 && len(old.parts) == 1 && s.parts[0].layer == old.parts[0].layer
}

// compare finds out whether merged names may have changed since old was found, and
// raises the times then. A ctime of a lower part shows in any case, for a client
// may know the directory from before the server was started.
func (s *stack) compare(old *stack) {
	var was floor
	if old != nil && old.floor != nil {
		was = *old.floor
	}
	now := was
	if old != nil && !slices.EqualFunc(s.below(), old.below(), samePart) {
		now.mtime = later(timeOf(time.Now()), was.mtime)
		now.ctime = now.mtime
	}
	for _, part := range s.parts[1:] {
		now.ctime = later(now.ctime, part.ctime)
	}
	switch now {
	case floor{}:
	case was:
		s.floor = old.floor
	default:
		s.floor = &now
	}
}

// mayHaveChanged raises the times of a directory that was not in memory when there was a
// refresh, to the same each time that it is not. Of one that is in one layer its own times
// tell.
func (fs *FS) mayHaveChanged(s *stack) {
	if len(s.parts) == 1 {
		return
	}
	at := fs.refreshed.Load()
	if at == nil {
		now := timeOf(time.Now())
		at = &now
	}
	next := floor{mtime: *at, ctime: *at}
	if s.floor != nil {
		next.ctime = later(next.ctime, s.floor.ctime)
	}
	s.floor = &next
}

// willRise reports whether a directory whose times were raised is shown with no earlier ones
// when it is in memory again.
func (fs *FS) willRise(s *stack) bool {
	if s.floor == nil || s.floor.mtime == (Time{}) {
		return true
	}
	at := fs.refreshed.Load()
	return len(s.parts) > 1 && at != nil && later(s.floor.mtime, *at) == *at
}

// below are the parts in lower layers.
func (s *stack) below() []stackPart {
	if s.parts[0].layer == 0 {
		return s.parts[1:]
	}
	return s.parts
}

// samePart reports whether a part is what it was. Of one that was found just after a change
// nobody can tell: another change in the same tick leaves the ctime as it is.
func samePart(now, was stackPart) bool {
	return now.layer == was.layer && now.id == was.id && now.ctime == was.ctime && !was.unsure
}

// seen notes what a part is when it is found.
func (p *stackPart) seen(id ID, ctime Time) {
	p.id, p.ctime, p.unsure = id, ctime, inThisTick(ctime)
}

// inThisTick reports whether a change of now could leave a ctime as it is.
func inThisTick(ctime Time) bool {
	tick := clockTick
	if ctime.Nsec == 0 { // a file system of whole seconds, as a rule
		tick += time.Second
	}
	return time.Since(time.Unix(ctime.Sec, int64(ctime.Nsec))) < tick
}

// raise shows a directory's times as its floor wants them.
func (n *node) raise(st *sysStat) {
	if s := n.dir.stack.Load(); s != nil && s.floor != nil {
		st.mtime, st.ctime = later(st.mtime, s.floor.mtime), later(st.ctime, s.floor.ctime)
	}
}

// showTrueTimes gives up the floor of a directory's mtime, which a client has set.
func (n *node) showTrueTimes() {
	if n.dir == nil {
		return
	}
	if s := n.dir.stack.Load(); s != nil && s.floor != nil && s.floor.mtime != (Time{}) {
		next := *s
		next.floor = &floor{ctime: s.floor.ctime}
		n.dir.stack.CompareAndSwap(s, &next)
	}
}

// later gives the later of two times; the zero Time is none.
func later(t, u Time) Time {
	if u != (Time{}) && (u.Sec > t.Sec || u.Sec == t.Sec && u.Nsec > t.Nsec) {
		return u
	}
	return t
}

func timeOf(t time.Time) Time { return Time{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())} }

// nowIn makes sure that the first part that was found of a directory is the
// directory's own, and knows it in the layer where it is now.
func (fs *FS) nowIn(n *node, p *place, part *stackPart) error {
	dir, err := fs.dirFD(p.parent, part.layer)
	if err != nil {
		return err
	}
	defer dir.release()
	at := place{parent: p.parent, name: p.name, layer: part.layer}
	if err := fs.verifyID(n, dir.fd, &at, part.id); err != nil || part.layer == p.layer {
		return err
	}
	n.setBehind(part.id)
	n.addPlace(p.parent, []byte(p.plain()), part.layer)
	return nil
}

// maxChanged bounds the directories that a refresh names.
const maxChanged = 10_000

// Refreshed is what a refresh found.
type Refreshed struct {
	// Directories is how many directories clients know, all of which were looked at.
	Directories int `json:"directories"`
	// Changed are the paths, from the root and parents first, of those in which a layer
	// changed since they were looked at last, by clients or behind the server's back.
	Changed []string `json:"changed"`
	// More is how many besides are not named.
	More int `json:"more,omitempty"`
}

// Refresh makes changes visible that were made in the layers behind the server's
// back: it looks again in which layers each known directory exists, and forgets
// descriptors and listings of what is in lower layers. A file handle of what is still
// where it was goes on working, that of what went gives ESTALE. Clients see by the
// times of a directory that its names may have changed. Requests go on meanwhile.
func (fs *FS) Refresh() (Refreshed, error) {
	fs.refreshing.Lock()
	defer fs.refreshing.Unlock()
	fs.nodes.sweeping.Lock() // all nodes stay
	defer fs.nodes.sweeping.Unlock()
	r := Refreshed{Changed: []string{}}
	if !fs.marked {
		return r, nil
	}
	before := map[*node]*stack{fs.root: fs.root.dir.stack.Load()}
	fs.nodes.each(func(n *node) {
		if n.isDir() {
			before[n] = n.dir.stack.Load()
		}
	})
	fs.refreshed.Store(nil)
	defer fs.hasRefreshed()
	fs.epoch.Add(1)
	if err := fs.refreshRoot(); err != nil {
		return r, err
	}
	fs.forgetLower()
	for n, old := range before {
		r.look(fs, n, old)
	}
	slices.Sort(r.Changed)
	if len(r.Changed) > maxChanged {
		r.More = len(r.Changed) - maxChanged
		r.Changed = r.Changed[:maxChanged]
	}
	return r, nil
}

// hasRefreshed notes when the last refresh ended: nobody saw names from before it in
// directories that changed since.
func (fs *FS) hasRefreshed() {
	now := timeOf(time.Now())
	fs.refreshed.Store(&now)
}

// look looks at one directory anew.
func (r *Refreshed) look(fs *FS, n *node, old *stack) {
	r.Directories++
	if fs.settlePlaces(n) != nil {
		return // it is gone, or not to be had: the next call for it tells
	}
	s, err := fs.stackOf(n)
	if err != nil || old == nil || slices.EqualFunc(s.parts, old.parts, samePart) {
		return
	}
	if path, ok := n.path(); ok {
		r.Changed = append(r.Changed, fs.shownPath(path))
	}
}

// path is a directory's path from the root, which is "/"; ok is false of one that is gone.
func (n *node) path() (path string, ok bool) {
	var names []string
	for range maxDepth {
		p := n.places.Load()
		if p == nil {
			return "", false
		}
		if p.parent == nil {
			slices.Reverse(names)
			return "/" + strings.Join(names, "/"), true
		}
		names = append(names, p.plain())
		n = p.parent
	}
	return "", false
}

// refreshRoot looks at the layers' roots, which are kept open.
func (fs *FS) refreshRoot() error {
	for {
		old := fs.root.dir.stack.Load()
		next := old.with(slices.Clone(old.parts))
		if err := fs.lookAtRoots(next); err != nil {
			return err
		}
		next.compare(old)
		if fs.root.dir.setStack(old, next) == next {
			return nil
		}
	}
}

func (fs *FS) lookAtRoots(s *stack) error {
	for i := range s.parts {
		part := &s.parts[i]
		dir, err := fs.partDir(fs.root, part)
		if err != nil {
			return err
		}
		var st sysStat
		err = sysFstat(dir.fd, &st)
		dir.release()
		if err != nil {
			return err
		}
		part.seen(fs.identity(part.layer, &st), st.ctime)
	}
	return fs.readRootMarks(s)
}

// forgetLower closes what is cached of lower files and of all directories, and finds
// copies again whose upper file was removed behind our back.
func (fs *FS) forgetLower() {
	var copies []*node
	fs.nodes.each(func(n *node) {
		p := n.places.Load()
		switch {
		case n.isDir():
			n.dir.version.Add(1) // listings are not fresh any more
			n.dropParts()
		case p == nil:
		case p.layer != 0:
			n.file.drop()
		case n.backing.Load() != nil:
			copies = append(copies, n)
		}
	})
	for _, n := range copies {
		fs.findLower(n)
	}
}

func (n *node) dropParts() {
	s := n.dir.stack.Load()
	if s == nil || s.steady {
		return
	}
	for i := range s.parts {
		s.parts[i].dir.drop()
	}
}

// findLower makes a lower file known again where it shows because its copy is gone.
func (fs *FS) findLower(n *node) {
	for p := n.places.Load(); p != nil; p = p.next {
		if p.layer == 0 && p.parent != fs.index {
			fs.findLowerAt(n, p)
		}
	}
}

func (fs *FS) findLowerAt(n *node, p *place) {
	d, name := p.parent, []byte(p.plain())
	d.mu.Lock()
	defer d.mu.Unlock()
	var f found
	if n.hasPlace(d, name) == nil || fs.find(d, cString(p.name), &f) != nil {
		return
	}
	if f.layer != 0 && fs.identity(f.layer, &f.st) == n.id {
		n.setBehind(n.id)
		n.addPlace(d, name, f.layer)
		n.file.drop()
	}
}
