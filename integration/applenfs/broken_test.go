package applenfs_test

import (
	"bytes"
	"strings"
	"sync"
	"syscall"

	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// edited is a file system that tells other attributes than the one under it.
type edited struct {
	nfs.FS
	attr   func(*overlay.Attr)   // of an object
	change func(*overlay.Change) // around a change, when it is set
}

func (e *edited) edit(attrs ...*overlay.Attr) {
	for _, a := range attrs {
		e.attr(a)
	}
}

func (e *edited) editChange(err error, changes ...*overlay.Change) {
	for _, c := range changes {
		if e.change != nil && err == nil {
			e.change(c)
		}
		e.attr(&c.Post)
	}
}

func (e *edited) Getattr(id overlay.ID, a *overlay.Attr) error {
	defer e.edit(a)
	return e.FS.Getattr(id, a)
}

func (e *edited) Setattr(c overlay.Caller, id overlay.ID, s *overlay.SetAttr, w *overlay.Change) (err error) {
	err = e.FS.Setattr(c, id, s, w)
	e.editChange(err, w)
	return err
}

func (e *edited) Lookup(c overlay.Caller, dir overlay.ID, name []byte, child, dirAttr *overlay.Attr) (bool, error) {
	defer e.edit(child, dirAttr)
	return e.FS.Lookup(c, dir, name, child, dirAttr)
}

func (e *edited) Read(c overlay.Caller, id overlay.ID, p []byte, off uint64, a *overlay.Attr) (int, bool, error) {
	defer e.edit(a)
	return e.FS.Read(c, id, p, off, a)
}

func (e *edited) Write(c overlay.Caller, id overlay.ID, p []byte, off uint64, how overlay.Stability, w *overlay.Change) error {
	err := e.FS.Write(c, id, p, off, how, w)
	e.editChange(err, w)
	return err
}

func (e *edited) Commit(c overlay.Caller, id overlay.ID, off, count uint64, w *overlay.Change) error {
	err := e.FS.Commit(c, id, off, count, w)
	e.editChange(err, w)
	return err
}

func (e *edited) Create(c overlay.Caller, dir overlay.ID, name []byte, how *overlay.CreateHow, child *overlay.Attr, w *overlay.Change) error {
	err := e.FS.Create(c, dir, name, how, child, w)
	e.edit(child)
	e.editChange(err, w)
	return err
}

func (e *edited) Mkdir(c overlay.Caller, dir overlay.ID, name []byte, s *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error {
	err := e.FS.Mkdir(c, dir, name, s, child, w)
	e.edit(child)
	e.editChange(err, w)
	return err
}

func (e *edited) Remove(c overlay.Caller, dir overlay.ID, name []byte, w *overlay.Change) error {
	err := e.FS.Remove(c, dir, name, w)
	e.editChange(err, w)
	return err
}

func (e *edited) Rename(c overlay.Caller, from overlay.ID, fromName []byte, to overlay.ID, toName []byte, wfrom, wto *overlay.Change) error {
	err := e.FS.Rename(c, from, fromName, to, toName, wfrom, wto)
	e.editChange(err, wfrom, wto)
	return err
}

func (e *edited) Link(c overlay.Caller, id, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) (bool, error) {
	ok, err := e.FS.Link(c, id, dir, name, a, w)
	e.edit(a)
	e.editChange(err, w)
	return ok, err
}

func (e *edited) Readdir(c overlay.Caller, dir overlay.ID, cookie uint64, attrs bool, a *overlay.Attr, emit func(*overlay.DirEntry) bool) (bool, error) {
	defer e.edit(a)
	return e.FS.Readdir(c, dir, cookie, attrs, a, func(entry *overlay.DirEntry) bool {
		if entry.Attr != nil {
			attr := *entry.Attr
			e.attr(&attr)
			told := *entry
			told.Attr = &attr
			return emit(&told)
		}
		return emit(entry)
	})
}

// wholeSeconds has mtimes of one kind of object in whole seconds.
func wholeSeconds(kind uint32) func(nfs.FS) nfs.FS {
	return func(fsys nfs.FS) nfs.FS {
		e := &edited{FS: fsys}
		e.attr = func(a *overlay.Attr) {
			if a.Mode&overlay.ModeType == kind {
				a.Mtime.Nsec = 0
			}
		}
		e.change = func(c *overlay.Change) {
			if c.Post.Mode&overlay.ModeType == kind {
				c.Pre.Mtime.Nsec = 0
			}
		}
		return e
	}
}

func unedited(*overlay.Attr) {}

// withChange has another wcc_data.
func withChange(change func(*overlay.Change)) func(nfs.FS) nfs.FS {
	return func(fsys nfs.FS) nfs.FS { return &edited{FS: fsys, attr: unedited, change: change} }
}

// oldBefore tells of each change that the directory was before as it was after the change
// before the last: what another client may remember.
func oldBefore() func(nfs.FS) nfs.FS {
	var mu sync.Mutex
	last := map[overlay.ID][2]overlay.Time{}
	return withChange(func(c *overlay.Change) {
		mu.Lock()
		defer mu.Unlock()
		if !c.Post.IsDir() {
			return
		}
		before := last[c.Post.ID]
		if before[1] == c.Post.Mtime {
			return // the other half of a rename
		}
		last[c.Post.ID] = [2]overlay.Time{before[1], c.Post.Mtime}
		if before[0] != (overlay.Time{}) {
			c.Pre.Mtime = before[0]
		}
	})
}

// withAttr has other attributes.
func withAttr(edit func(*overlay.Attr)) func(nfs.FS) nfs.FS {
	return func(fsys nfs.FS) nfs.FS { return &edited{FS: fsys, attr: edit} }
}

// listed is a file system with other listings.
type listed struct {
	nfs.FS
	entries func(cookie uint64, all []overlay.DirEntry) (some []overlay.DirEntry, eof bool)
}

func (l *listed) Readdir(c overlay.Caller, dir overlay.ID, cookie uint64, attrs bool, a *overlay.Attr, emit func(*overlay.DirEntry) bool) (bool, error) {
	var all []overlay.DirEntry
	c.MayBlock = true
	_, err := l.FS.Readdir(c, dir, 0, attrs, a, func(e *overlay.DirEntry) bool {
		kept := *e
		kept.Name = bytes.Clone(e.Name)
		if e.Attr != nil {
			kept.Attr = new(*e.Attr)
		}
		all = append(all, kept)
		return true
	})
	if err != nil {
		return false, err
	}
	some, eof := l.entries(cookie, all)
	for i := range some {
		if !emit(&some[i]) {
			return false, nil
		}
	}
	return eof, nil
}

func withEntries(entries func(uint64, []overlay.DirEntry) ([]overlay.DirEntry, bool)) func(nfs.FS) nfs.FS {
	return func(fsys nfs.FS) nfs.FS { return &listed{fsys, entries} }
}

// numbered has cookies that say how many entries come before.
func numbered(cookie uint64, all []overlay.DirEntry) ([]overlay.DirEntry, bool) {
	for i := range all {
		all[i].Cookie = uint64(i + 1)
	}
	return all[min(cookie, uint64(len(all))):], true
}

// behind gives the entries behind a cookie.
func behind(cookie uint64, all []overlay.DirEntry) []overlay.DirEntry {
	for len(all) > 0 && all[0].Cookie <= cookie {
		all = all[1:]
	}
	return all
}

// endsEarly ends a listing where a reply ends.
func endsEarly(cookie uint64, all []overlay.DirEntry) ([]overlay.DirEntry, bool) {
	return behind(cookie, all)[:min(len(behind(cookie, all)), many/2)], true
}

// standsStill has one cookie for all entries behind the first of them.
func standsStill(cookie uint64, all []overlay.DirEntry) ([]overlay.DirEntry, bool) {
	for i := range all {
		all[i].Cookie = min(all[i].Cookie, 3)
	}
	return all[:min(len(all), many/2)], cookie > 3
}

// shifted tells of each entry what holds for the one before.
func shifted(cookie uint64, all []overlay.DirEntry) ([]overlay.DirEntry, bool) {
	for i := len(all) - 1; i > 2; i-- {
		all[i].Attr = all[i-1].Attr
	}
	return behind(cookie, all), true
}

// bare tells nothing of entries but their names.
func bare(cookie uint64, all []overlay.DirEntry) ([]overlay.DirEntry, bool) {
	for i := range all {
		all[i].Attr = nil
	}
	return behind(cookie, all), true
}

// otherFileids gives entries other fileids than their objects have.
func otherFileids(cookie uint64, all []overlay.DirEntry) ([]overlay.DirEntry, bool) {
	for i := range all {
		all[i].Fileid++
	}
	return behind(cookie, all), true
}

// frozen lists for ever what a directory held at first.
func frozen() func(nfs.FS) nfs.FS {
	var mu sync.Mutex
	first := map[uint64][]overlay.DirEntry{}
	return withEntries(func(cookie uint64, all []overlay.DirEntry) ([]overlay.DirEntry, bool) {
		mu.Lock()
		defer mu.Unlock()
		if first[all[0].Fileid] == nil {
			first[all[0].Fileid] = all
		}
		return behind(cookie, first[all[0].Fileid]), true
	})
}

// noVerifier forgets with which verifier a file was made.
type noVerifier struct{ nfs.FS }

func (n noVerifier) Create(c overlay.Caller, dir overlay.ID, name []byte, how *overlay.CreateHow, child *overlay.Attr, w *overlay.Change) error {
	if how.Mode == overlay.Exclusive {
		how = &overlay.CreateHow{Mode: overlay.Guarded}
	}
	return n.FS.Create(c, dir, name, how, child, w)
}

// hasty says of each name at first that it is not there.
type hasty struct {
	nfs.FS
	mu    sync.Mutex
	asked map[string]bool
}

func newHasty() func(nfs.FS) nfs.FS {
	return func(fsys nfs.FS) nfs.FS { return &hasty{FS: fsys, asked: map[string]bool{}} }
}

func (h *hasty) Lookup(c overlay.Caller, dir overlay.ID, name []byte, child, dirAttr *overlay.Attr) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ok, err := h.FS.Lookup(c, dir, name, child, dirAttr)
	if err == nil && !h.asked[string(name)] {
		h.asked[string(name)] = true
		err = syscall.ENOENT
	}
	return ok, err
}

// folding takes names for each other that differ in case.
type folding struct{ nfs.FS }

func (f folding) Lookup(c overlay.Caller, dir overlay.ID, name []byte, child, dirAttr *overlay.Attr) (bool, error) {
	ok, err := f.FS.Lookup(c, dir, name, child, dirAttr)
	if err == nil {
		return ok, nil
	}
	return f.FS.Lookup(c, dir, []byte(strings.ToLower(string(name))), child, dirAttr)
}

// touching changes the mtime with each COMMIT.
type touching struct{ nfs.FS }

func (t touching) Commit(c overlay.Caller, id overlay.ID, off, count uint64, w *overlay.Change) error {
	c.MayBlock = true
	if err := t.FS.Setattr(c, id, &overlay.SetAttr{SetMtime: overlay.ServerTime}, w); err != nil {
		return err
	}
	return t.FS.Commit(c, id, off, count, w)
}

// strict lets nobody write to what nobody may write to.
type strict struct{ nfs.FS }

func (s strict) Write(c overlay.Caller, id overlay.ID, p []byte, off uint64, how overlay.Stability, w *overlay.Change) error {
	var a overlay.Attr
	if err := s.FS.Getattr(id, &a); err != nil || a.Mode&0o222 == 0 {
		return syscall.EACCES
	}
	return s.FS.Write(c, id, p, off, how, w)
}

// unAppled does not know Apple's silly names for what they are.
type unAppled struct{ nfs.FS }

func (u unAppled) Rename(c overlay.Caller, from overlay.ID, fromName []byte, to overlay.ID, toName []byte, wfrom, wto *overlay.Change) error {
	c.Apple = false
	return u.FS.Rename(c, from, fromName, to, toName, wfrom, wto)
}

// reused gives a file that is made the handle of the one that had its name before.
type reused struct {
	nfs.FS
	mu   sync.Mutex
	last map[string]overlay.ID     // by name
	now  map[overlay.ID]overlay.ID // which object a handle is of
	was  map[overlay.ID]overlay.ID // the handle of an object
}

func newReused(fsys nfs.FS) nfs.FS {
	return &reused{FS: fsys, last: map[string]overlay.ID{}, now: map[overlay.ID]overlay.ID{}, was: map[overlay.ID]overlay.ID{}}
}

// object gives the object of a handle, handle the handle of an object.
func (r *reused) object(id overlay.ID) overlay.ID { return translate(&r.mu, r.now, id) }

func (r *reused) handle(a *overlay.Attr) { a.ID = translate(&r.mu, r.was, a.ID) }

func translate(mu *sync.Mutex, to map[overlay.ID]overlay.ID, id overlay.ID) overlay.ID {
	mu.Lock()
	defer mu.Unlock()
	if other, ok := to[id]; ok {
		return other
	}
	return id
}

func (r *reused) Create(c overlay.Caller, dir overlay.ID, name []byte, how *overlay.CreateHow, child *overlay.Attr, w *overlay.Change) error {
	if err := r.FS.Create(c, dir, name, how, child, w); err != nil {
		return err
	}
	r.mu.Lock()
	if old, ok := r.last[string(name)]; ok {
		r.now[old], r.was[child.ID] = child.ID, old
	} else {
		r.last[string(name)] = child.ID
	}
	r.mu.Unlock()
	r.handle(child)
	return nil
}

func (r *reused) Getattr(id overlay.ID, a *overlay.Attr) error {
	defer r.handle(a)
	return r.FS.Getattr(r.object(id), a)
}

func (r *reused) Setattr(c overlay.Caller, id overlay.ID, s *overlay.SetAttr, w *overlay.Change) error {
	defer r.handle(&w.Post)
	return r.FS.Setattr(c, r.object(id), s, w)
}

func (r *reused) Lookup(c overlay.Caller, dir overlay.ID, name []byte, child, dirAttr *overlay.Attr) (bool, error) {
	defer r.handle(child)
	return r.FS.Lookup(c, dir, name, child, dirAttr)
}

func (r *reused) Read(c overlay.Caller, id overlay.ID, p []byte, off uint64, a *overlay.Attr) (int, bool, error) {
	defer r.handle(a)
	return r.FS.Read(c, r.object(id), p, off, a)
}

func (r *reused) Write(c overlay.Caller, id overlay.ID, p []byte, off uint64, how overlay.Stability, w *overlay.Change) error {
	defer r.handle(&w.Post)
	return r.FS.Write(c, r.object(id), p, off, how, w)
}

func (r *reused) Commit(c overlay.Caller, id overlay.ID, off, count uint64, w *overlay.Change) error {
	defer r.handle(&w.Post)
	return r.FS.Commit(c, r.object(id), off, count, w)
}

// moving gives an object another fileid, or another type, once it has been changed.
type moving struct {
	nfs.FS
	mu      sync.Mutex
	touched map[overlay.ID]bool
	move    func(*overlay.Attr)
}

func newMoving(move func(*overlay.Attr)) func(nfs.FS) nfs.FS {
	return func(fsys nfs.FS) nfs.FS { return &moving{FS: fsys, touched: map[overlay.ID]bool{}, move: move} }
}

func (m *moving) Setattr(c overlay.Caller, id overlay.ID, s *overlay.SetAttr, w *overlay.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.touched[id] = true
	return m.FS.Setattr(c, id, s, w)
}

func (m *moving) Getattr(id overlay.ID, a *overlay.Attr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.FS.Getattr(id, a)
	if m.touched[id] {
		m.move(a)
	}
	return err
}
