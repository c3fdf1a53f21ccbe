package nfs

import "github.com/nixnfsd/nixnfsd/overlay"

// FS is the file system that a Server serves; *overlay.FS is one. Everything is
// named by overlay.ID; names are single components, already checked: not empty,
// not "." or "..", without "/" and NUL, and no longer than 255 bytes. Slices that
// are passed in are valid until the method returns.
//
// Errors are a syscall.Errno, one of package overlay's or of io/fs, or wrap
// one. An ID whose object is gone gives syscall.ESTALE. Methods that
// are given a Caller return overlay.ErrWouldBlock, having changed nothing, when
// the call would wait for a disk and Caller.MayBlock is false.
//
// Attributes are written to the caller's structs, so that the steady state
// allocates nothing. All methods are safe for concurrent use.
type FS interface {
	// Root names the root directory.
	Root() overlay.ID

	// Getattr fills a.
	Getattr(id overlay.ID, a *overlay.Attr) error
	// Born gives when an object was made, or the zero Time where that is not known.
	Born(id overlay.ID) (overlay.Time, error)
	// Setattr changes what s names. A guard that does not hold is overlay.ErrNotSync,
	// and changes nothing. w, here and below, is filled on errors too, as far as the
	// call came.
	Setattr(c overlay.Caller, id overlay.ID, s *overlay.SetAttr, w *overlay.Change) error
	// Lookup fills child, and dir's attributes where it can, on errors too:
	// hasDir says whether it could. "." and ".." are names here.
	Lookup(c overlay.Caller, dir overlay.ID, name []byte, child, dirAttr *overlay.Attr) (hasDir bool, err error)
	// Readlink appends the link's target to buf.
	Readlink(id overlay.ID, buf []byte, a *overlay.Attr) (target []byte, err error)
	// Read fills p from off and gives the attributes after. eof is set when the
	// end of the file was reached.
	Read(c overlay.Caller, id overlay.ID, p []byte, off uint64, a *overlay.Attr) (n int, eof bool, err error)
	// Write writes all of p or fails; the data is at least as stable as asked.
	Write(c overlay.Caller, id overlay.ID, p []byte, off uint64, how overlay.Stability, w *overlay.Change) error
	// Commit returns when the data of the range is on stable storage. A count of 0
	// is up to the end (RFC 1813 §3.3.21).
	Commit(c overlay.Caller, id overlay.ID, off, count uint64, w *overlay.Change) error

	// Losses is another number when data of Writes that have returned may not get to stable
	// storage any more; a Commit or a stable Write that returns after that sees it.
	Losses() uint64

	// Create, Mkdir, Symlink and Mknod make an object in dir and fill child; w is dir's change.
	Create(c overlay.Caller, dir overlay.ID, name []byte, how *overlay.CreateHow, child *overlay.Attr, w *overlay.Change) error
	Mkdir(c overlay.Caller, dir overlay.ID, name []byte, s *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error
	Symlink(c overlay.Caller, dir overlay.ID, name []byte, target []byte, s *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error
	// Mknod makes what typ (overlay.ModeType bits) says; major and minor are a device's.
	Mknod(c overlay.Caller, dir overlay.ID, name []byte, typ, major, minor uint32, s *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error

	// Remove and Rmdir remove a name of dir: of what is no directory, and of an
	// empty directory.
	Remove(c overlay.Caller, dir overlay.ID, name []byte, w *overlay.Change) error
	Rmdir(c overlay.Caller, dir overlay.ID, name []byte, w *overlay.Change) error
	// Rename moves a name, in one step also over what has the new one, as rename(2)
	// does. wfrom and wto are the changes of the directories.
	Rename(c overlay.Caller, from overlay.ID, fromName []byte, to overlay.ID, toName []byte, wfrom, wto *overlay.Change) error
	// Link gives the object id the name in dir too, and fills a with the object's
	// attributes where it can: hasAttr says whether it could.
	Link(c overlay.Caller, id, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) (hasAttr bool, err error)

	// Readdir gives the entries behind cookie (0 is the start) to emit, until it
	// returns false: that entry was not taken. With attrs, entries carry attributes.
	// eof says that the last entry was taken.
	Readdir(c overlay.Caller, dir overlay.ID, cookie uint64, attrs bool, dirAttr *overlay.Attr, emit func(*overlay.DirEntry) bool) (eof bool, err error)

	// Stat fills s with what holds for the whole file system.
	Stat(s *overlay.FSStat) error
}
