package nfs

import (
	"slices"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// The bits of ACCESS (RFC 1813 §3.3.4).
const (
	accessRead    = 0x01
	accessLookup  = 0x02
	accessModify  = 0x04
	accessExtend  = 0x08
	accessDelete  = 0x10
	accessExecute = 0x20
)

// Permission bits of one class.
const (
	permR = 4
	permW = 2
	permX = 1
)

// permit judges a call of one who is neither the owner nor root. With Options.ShareRead he may
// read what the mode lets him; a file also where he may execute it, for that takes
// reading (RFC 1813 §4.4). What lies behind directories that he may not search he has no
// handles of. The root's attributes are everybody's: without them Linux's client says to who
// opens the mount point that it is stale, and not that he may not.
func (q *request) permit() error {
	if q.proc.is(anybodys) && q.err == nil && q.id == q.srv.fs.Root() {
		return nil
	}
	if q.proc.access != reads || !q.srv.shared {
		return statusAcces
	}
	if q.err != nil || !q.proc.is(searches|contents) {
		return q.err
	}
	if err := q.srv.fs.Getattr(q.id, &q.attr); err != nil {
		return err
	}
	p := permissions(&q.attr, &q.call.Cred)
	q.list.bare = p&permX == 0
	need := uint32(permR)
	switch {
	case q.proc.is(searches):
		need = permX
	case !q.attr.IsDir():
		need = permR | permX
	}
	if p&need == 0 {
		return statusAcces
	}
	return nil
}

// allowed gives what the caller may do with an object, as its mode says. That
// the owner's READ and WRITE succeed whatever the mode (NFS has no open files)
// makes no difference here: it is by ACCESS that open(2) is refused.
func allowed(a *overlay.Attr, c *oncrpc.Cred) uint32 {
	p := permissions(a, c)
	var bits uint32
	if p&permR != 0 {
		bits |= accessRead
	}
	if a.IsDir() {
		return bits | allowedDir(p)
	}
	if p&permW != 0 {
		bits |= accessModify | accessExtend
	}
	if p&permX != 0 {
		bits |= accessExecute
	}
	return bits
}

// allowedDir: entries change only for who may write and search.
func allowedDir(p uint32) (bits uint32) {
	if p&permX != 0 {
		bits |= accessLookup
	}
	if p&(permW|permX) == permW|permX {
		bits |= accessModify | accessExtend | accessDelete
	}
	return bits
}

// permissions gives the mode's bits for the caller. Root has everything but
// execution of what nobody may execute: of an ordinary owner's server, too, since
// that changes modes where they are in the way.
func permissions(a *overlay.Attr, c *oncrpc.Cred) uint32 {
	switch {
	case c.UID == 0 && (a.IsDir() || a.Mode&0o111 != 0):
		return permR | permW | permX
	case c.UID == 0:
		return permR | permW
	case c.UID == a.UID:
		return a.Mode >> 6 & 7
	case c.GID == a.GID || slices.Contains(c.Groups(), a.GID):
		return a.Mode >> 3 & 7
	}
	return a.Mode & 7
}
