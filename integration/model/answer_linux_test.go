package model

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// attr is what is compared of an object's attributes.
type attr struct {
	id           uint64 // fileid or inode number
	typ          nfsclient.Type
	mode, nlink  uint32
	uid, gid     uint32
	size         uint64
	major, minor uint32
	atime, mtime time.Time
}

// answer is what an operation gives.
type answer struct {
	err  error // nil or a nfsclient.Status
	attr *attr // of the object that it is about
	data string
	list map[string]uint64 // of a directory: ids
}

// statuses are what the server makes of the errors of system calls.
var statuses = map[unix.Errno]nfsclient.Status{
	unix.ENOENT: nfsclient.ErrNoEnt, unix.EEXIST: nfsclient.ErrExist, unix.ESTALE: nfsclient.ErrStale,
	unix.EACCES: nfsclient.ErrAcces, unix.EPERM: nfsclient.ErrPerm, unix.ENOTDIR: nfsclient.ErrNotDir,
	unix.EISDIR: nfsclient.ErrIsDir, unix.EINVAL: nfsclient.ErrInval, unix.ENOTEMPTY: nfsclient.ErrNotEmpty,
	unix.ENAMETOOLONG: nfsclient.ErrNameTooLong, unix.EROFS: nfsclient.ErrROFS, unix.EXDEV: nfsclient.ErrXDev,
	unix.EOPNOTSUPP: nfsclient.ErrNotSupp, unix.EFBIG: nfsclient.ErrFBig,
}

// classify makes a status of a system call's error. What is not in the table stays,
// and is a difference.
func classify(err error) error {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		if s, ok := statuses[errno]; ok {
			return s
		}
	}
	return err
}

// differ says what tells two answers apart, "" when nothing does. Nothing in it
// changes from run to run, or rapid could not shrink.
func (r *run) differ(ours, theirs *answer) string {
	if ours.err != theirs.err {
		return fmt.Sprintf("we say %v, the kernel %v", ours.err, theirs.err)
	}
	if ours.attr != nil && theirs.attr != nil {
		if s := r.sameObject(ours.attr, theirs.attr); s != "" {
			return s
		}
	}
	if (ours.attr == nil) != (theirs.attr == nil) {
		return fmt.Sprintf("only one side gives attributes: ours %v", ours.attr != nil)
	}
	if ours.data != theirs.data {
		return fmt.Sprintf("we say %s, the kernel %s", abridge(ours.data), abridge(theirs.data))
	}
	return r.sameNames(ours.list, theirs.list)
}

func (r *run) sameNames(ours, theirs map[string]uint64) string {
	got, want := slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs))
	if !slices.Equal(got, want) {
		return fmt.Sprintf("we list %q, the kernel %q", got, want)
	}
	for _, name := range got {
		if s := r.sameID(ours[name], theirs[name]); s != "" {
			return fmt.Sprintf("%s: %s in the listing", name, s)
		}
	}
	return ""
}

// sameObject compares attributes, and whose they are.
func (r *run) sameObject(ours, theirs *attr) string {
	if s := r.sameID(ours.id, theirs.id); s != "" {
		return s
	}
	return r.sameAttr(ours, theirs)
}

// sameAttr is sameObject but for the ids.
func (r *run) sameAttr(ours, theirs *attr) string {
	if s := r.sameTime(ours.mtime, theirs.mtime); s != "" {
		return "mtime: " + s
	}
	if s := r.sameTime(ours.atime, theirs.atime); s != "" {
		return "atime: " + s
	}
	return ours.sameAs(*theirs)
}

// sameAs compares all but ids and times. A directory's size is its file system's
// own, and to overlayfs a merged one has one link.
func (a attr) sameAs(b attr) string {
	if a.typ == nfsclient.Dir {
		b.size = a.size
		b.nlink = a.nlink
	}
	a.id, a.atime, a.mtime = b.id, b.atime, b.mtime
	if a != b {
		return fmt.Sprintf("we say %v, the kernel %v", a, b)
	}
	return ""
}

func (a attr) String() string {
	return fmt.Sprintf("type %d mode %#o links %d owner %d:%d size %d device %d:%d", a.typ, a.mode, a.nlink, a.uid, a.gid, a.size, a.major, a.minor)
}

// sameTime compares times. Those from before the run's start have to be the same;
// those of what happened since are each side's own.
func (r *run) sameTime(ours, theirs time.Time) string {
	if ours.Equal(theirs) || !ours.Before(r.start) && !theirs.Before(r.start) {
		return ""
	}
	return fmt.Sprintf("we say %s, the kernel %s", r.tell(ours), r.tell(theirs))
}

func (r *run) tell(t time.Time) string {
	if !t.Before(r.start) {
		return "now"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// sameID holds an object's fileid against the one that it had before.
func (r *run) sameID(ours, theirs uint64) string {
	was, ok := r.ids[theirs]
	if !ok {
		r.ids[theirs] = ours
		return ""
	}
	if was != ours {
		return "another fileid than before"
	}
	return ""
}

func abridge(s string) string {
	const most = 60
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q… (%d bytes, %d zeros)", s[:most], len(s), strings.Count(s, "\x00"))
}
