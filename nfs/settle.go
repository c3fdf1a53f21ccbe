package nfs

import (
	"bytes"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// What follows decides about calls that began in a server that was killed, and are sent
// again: they may have been carried out, without a reply. Such a call is run again, and
// an error that its own success could be the cause of becomes that success, where what is
// on disk says so.

// outcome is run's result, for a call in doubt too.
func (q *request) outcome() error {
	err := q.proc.run(q)
	if err == nil || q.once == nil || !q.once.doubt || q.proc.settle == nil {
		return err
	}
	st, _ := statusOf(err)
	if q.proc.settle(q, st) && !q.srv.replies.rivalled(q.once) {
		return nil
	}
	return err
}

// began reports whether t, of a file system, is not before the call began. A file system
// that keeps whole seconds cuts off the rest.
func (q *request) began(t overlay.Time) bool {
	var slack int64
	if q.srv.fs.Stat(&q.stat) == nil {
		slack = q.stat.TimeDelta.Sec*1e9 + int64(q.stat.TimeDelta.Nsec)
	}
	return t.Sec*1e9+int64(t.Nsec) >= q.once.since-slack
}

// has gives the attributes of what has a name. It may wait for a moment: a call in doubt is
// rare, and settled once.
func (q *request) has(dir overlay.ID, name []byte, a *overlay.Attr) bool {
	var d overlay.Attr
	c := q.caller
	c.MayBlock = true
	_, err := q.srv.fs.Lookup(c, dir, name, a, &d)
	return err == nil
}

// named is has, for what is not from before the call.
func (q *request) named(dir overlay.ID, name []byte, a *overlay.Attr) bool {
	return q.has(dir, name, a) && q.began(a.Ctime)
}

// now makes w tell how an object is, without saying how it was: clients then look anew.
func (q *request) now(id overlay.ID, w *overlay.Change) bool {
	*w = overlay.Change{}
	w.HasPost = q.srv.fs.Getattr(id, &w.Post) == nil
	return w.HasPost
}

// settleMade takes an object that is there already for the call's own, if it is of that
// type, was made since, and not by another call.
func (q *request) settleMade(st status, typ uint32) bool {
	var a overlay.Attr
	if st != statusExist || !q.named(q.id, q.name, &a) || a.Mode&overlay.ModeType != typ {
		return false
	}
	born, err := q.srv.fs.Born(a.ID)
	if err != nil || !q.began(born) {
		return false
	}
	var handle xdr.Encoder
	q.srv.handles.append(&handle, a.ID)
	if q.srv.replies.made(q.once, handle.B) {
		return false
	}
	q.attr = a
	return q.now(q.id, &q.w)
}

// settleCreate: UNCHECKED cannot fail for what was made, and EXCLUSIVE has a verifier.
func settleCreate(q *request, st status) bool {
	return q.how.Mode == overlay.Guarded && q.settleMade(st, overlay.ModeRegular)
}

func settleMkdir(q *request, st status) bool { return q.settleMade(st, overlay.ModeDir) }

func settleSymlink(q *request, st status) bool {
	if !q.settleMade(st, overlay.ModeSymlink) {
		return false
	}
	var a overlay.Attr
	target, err := q.srv.fs.Readlink(q.attr.ID, nil, &a)
	return err == nil && bytes.Equal(target, q.data)
}

func settleMknod(q *request, st status) bool { return q.settleMade(st, q.typ) }

// settleRemove takes a name that is not there for removed, if its directory changed.
func settleRemove(q *request, st status) bool {
	return st == statusNoEnt && q.now(q.id, &q.w) && q.began(q.w.Post.Ctime)
}

// settleRename takes the object that has the new name for the one that had the old, if both
// directories changed. Its own ctime tells nothing: POSIX leaves it to the file system whether
// a rename changes that, and HFS+ of many Linux kernels does not.
func settleRename(q *request, st status) bool {
	var a overlay.Attr
	return st == statusNoEnt && q.now(q.id, &q.w) && q.now(q.id2, &q.w2) && q.has(q.id2, q.name2, &a) &&
		q.began(q.w.Post.Ctime) && q.began(q.w2.Post.Ctime)
}

// settleLink: the name is the object's.
func settleLink(q *request, st status) bool {
	var a overlay.Attr
	if st != statusExist || !q.named(q.id2, q.name, &a) || a.ID != q.id {
		return false
	}
	q.attr, q.hasAttr = a, true
	return q.now(q.id2, &q.w)
}

// settleSetattr: the guard does not hold, and the object is as it should become.
func settleSetattr(q *request, st status) bool {
	if st != statusNotSync || !q.now(q.id, &q.w) {
		return false
	}
	a, s := &q.w.Post, &q.set
	return q.began(a.Ctime) &&
		(!s.SetMode || a.Mode&0o7777 == s.Mode) && (!s.SetUID || a.UID == s.UID) &&
		(!s.SetGID || a.GID == s.GID) && (!s.SetSize || a.Size == s.Size)
}
