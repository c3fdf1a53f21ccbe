package overlay_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"syscall"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// object is what a client can see of an object that has to outlive a crash.
type object struct {
	id       overlay.ID
	mode     uint32
	nlink    uint32 // of a directory 0: it is the upper's business
	uid, gid uint32
	mtime    overlay.Time // of a directory zero: it may advance at any time
	data     string       // of a file or link
}

// view is a tree as clients see it, by path.
type view map[string]object

// look walks the whole tree.
func look(fs *overlay.FS) (view, error) {
	v := view{}
	return v, v.walk(fs, fs.Root(), "")
}

func (v view) walk(fs *overlay.FS, dir overlay.ID, at string) error {
	var names []string
	var a overlay.Attr
	_, err := fs.Readdir(worker, dir, 0, false, &a, func(e *overlay.DirEntry) bool {
		if s := string(e.Name); s != "." && s != ".." {
			names = append(names, s)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("list %q: %w", at, err)
	}
	if !slices.Contains(names, appleSilly) {
		if _, err := fs.Lookup(worker, dir, []byte(appleSilly), &a, new(overlay.Attr)); err == nil {
			names = append(names, appleSilly) // of an open file that was removed
		}
	}
	for _, name := range names {
		full := path.Join(at, name)
		if _, err := fs.Lookup(worker, dir, []byte(name), &a, new(overlay.Attr)); err != nil {
			return fmt.Errorf("look up %s: %w", full, err)
		}
		o, err := describe(fs, &a)
		if err != nil {
			return fmt.Errorf("read %s: %w", full, err)
		}
		v[full] = o
		if !a.IsDir() {
			continue
		}
		if err := v.walk(fs, a.ID, full); err != nil {
			return err
		}
	}
	return nil
}

func describe(fs *overlay.FS, a *overlay.Attr) (o object, err error) {
	o = object{id: a.ID, mode: a.Mode, nlink: a.Nlink, uid: a.UID, gid: a.GID, mtime: a.Mtime}
	switch a.Mode & overlay.ModeType {
	case overlay.ModeDir:
		o.nlink, o.mtime = 0, overlay.Time{}
	case overlay.ModeRegular:
		if a.Size == 0 { // a read would set the time in which a verifier is kept
			break
		}
		b := make([]byte, a.Size+1)
		var n int
		n, _, err = fs.Read(worker, a.ID, b, 0, a)
		o.data = string(b[:n])
	case overlay.ModeSymlink:
		var b []byte
		b, err = fs.Readlink(a.ID, nil, a)
		o.data = string(b)
	}
	return o, err
}

// paths gives the first path of each object.
func (v view) paths() map[overlay.ID]string {
	by := map[overlay.ID]string{}
	for _, p := range slices.Backward(slices.Sorted(maps.Keys(v))) {
		by[v[p].id] = p
	}
	return by
}

// expected is a view of which not all is known beforehand: objects that are new have
// no ID, and a time that the operation set is not foreseen.
type expected map[string]expectedObject

type expectedObject struct {
	object
	isNew, anyTime bool
}

func exactly(v view) expected {
	want := expected{}
	for p, o := range v {
		want[p] = expectedObject{object: o}
	}
	return want
}

// after says what an operation that was done makes of before, by what it made of the
// same tree in another run.
func after(before, otherBefore, otherAfter view) expected {
	was := otherBefore.paths()
	want := expected{}
	for p, o := range otherAfter {
		from, known := was[o.id]
		if old, ok := otherBefore[p]; ok && old.id == o.id {
			from = p
		}
		w := expectedObject{object: o, isNew: !known, anyTime: !known || o.mtime != otherBefore[from].mtime}
		if known {
			w.id, w.mtime = before[from].id, before[from].mtime
		}
		want[p] = w
	}
	return want
}

// differs says in what a view is not as expected; "": in nothing.
func (want expected) differs(got view) string {
	for _, p := range slices.Sorted(maps.Keys(want)) {
		g, ok := got[p]
		if !ok {
			return p + " is lost"
		}
		if d := want[p].differs(g); d != "" {
			return p + ": " + d
		}
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			return p + " should not be there"
		}
	}
	return ""
}

func (want expectedObject) differs(got object) string {
	w := want.object
	if want.isNew {
		w.id = got.id
	}
	if want.anyTime {
		w.mtime = got.mtime
	}
	if w == got {
		return ""
	}
	return fmt.Sprintf("is %+v, want %+v", got, w)
}

// between reports whether each attribute of each object is as before or as after.
func between(before, after expected, got view) bool {
	if len(got) != len(before) || len(got) != len(after) {
		return false
	}
	for p, g := range got {
		b, hasBefore := before[p]
		a, hasAfter := after[p]
		if !hasBefore || !hasAfter || !betweenObjects(b, a, g) {
			return false
		}
	}
	return true
}

func betweenObjects(b, a expectedObject, g object) bool {
	return g.id == b.id && g.nlink == b.nlink && (g.mode == b.mode || g.mode == a.mode) &&
		(g.uid == b.uid || g.uid == a.uid) && (g.gid == b.gid || g.gid == a.gid) &&
		(g.data == b.data || g.data == a.data)
}

// handles says which of the objects that a client knew answers wrongly now: what is
// in want has to be there by its old ID, what is not has to be stale.
func (want expected) handles(fs *overlay.FS, known view) string {
	there := map[overlay.ID]string{}
	for p, o := range want {
		if !o.isNew {
			there[o.id] = p
		}
	}
	for p, o := range known {
		var a overlay.Attr
		now, wanted := there[o.id]
		err := fs.Getattr(o.id, &a)
		switch {
		case !wanted && err != syscall.ESTALE:
			return fmt.Sprintf("the handle of %s, which is gone, gives %v", p, err)
		case !wanted:
			continue
		case err != nil:
			return fmt.Sprintf("the handle of %s gives %v", p, err)
		}
		g, err := describe(fs, &a)
		if err != nil {
			return fmt.Sprintf("by the handle of %s: %v", p, err)
		}
		if d := want[now].differs(g); d != "" {
			return fmt.Sprintf("the object of the handle of %s %s", p, d)
		}
	}
	return ""
}
