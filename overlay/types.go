package overlay

import "errors"

// ID names one object for good: it is the same before and after copy-up,
// renames and restarts of the server, and is never given to another object.
type ID struct {
	Fileid uint64 // what GETATTR and READDIR show; unique over all layers
	Gen    uint64 // tells apart the objects that had one inode number in turn
}

// Time is a point in time as a file system keeps it.
type Time struct {
	Sec  int64 // since 1970-01-01 UTC
	Nsec uint32
}

// Type bits of Attr.Mode; the same on every system.
const (
	ModeType    = 0o170000
	ModeSocket  = 0o140000
	ModeSymlink = 0o120000
	ModeRegular = 0o100000
	ModeBlock   = 0o060000
	ModeDir     = 0o040000
	ModeChar    = 0o020000
	ModeFIFO    = 0o010000
)

// Attr are an object's attributes.
type Attr struct {
	ID                  ID
	Mode                uint32 // type (ModeType) and permission bits (0o7777)
	Nlink               uint32
	UID, GID            uint32
	Size                uint64 // bytes
	Used                uint64 // bytes on disk
	Major, Minor        uint32 // of a device
	Atime, Mtime, Ctime Time
}

// IsDir reports whether the object is a directory.
func (a *Attr) IsDir() bool { return a.Mode&ModeType == ModeDir }

// SetTime says what becomes of a timestamp.
type SetTime uint8

// The values of SetTime (time_how, RFC 1813 §2.5.3).
const (
	DontChange SetTime = iota
	ServerTime
	ClientTime
)

// SetAttr are the attributes that a caller wants changed.
type SetAttr struct {
	SetMode, SetUID, SetGID, SetSize bool
	Mode                             uint32 // permission bits
	UID, GID                         uint32
	Size                             uint64
	SetAtime, SetMtime               SetTime
	Atime, Mtime                     Time // with ClientTime
	// Guard, when set, is the ctime that the object must have, else the call
	// gives ErrNotSync (RFC 1813 §3.3.2).
	Guard *Time
}

// PreAttr are the attributes from before a change that let a client keep its
// cache (wcc_attr, RFC 1813 §2.6).
type PreAttr struct {
	Size         uint64
	Mtime, Ctime Time
}

// Change holds an object's attributes around a change (wcc_data). It is filled
// as far as the call came, on errors too.
type Change struct {
	HasPre, HasPost bool
	Pre             PreAttr
	Post            Attr
}

// Caller is on whose behalf an operation runs, and how long it may take.
type Caller struct {
	UID, GID uint32
	// Apple says that the client is macOS's, which has names of its own for open files
	// that are removed; see the package's documentation.
	Apple bool
	// MayBlock is false on a goroutine that others wait for: an operation that
	// would wait for a disk or copy much then gives ErrWouldBlock, having changed
	// nothing, and is called again from where it may block.
	MayBlock bool
	// Retries says that whoever asks comes again when told to: instead of a long wait
	// for another caller's copy-up it then gets EAGAIN, having changed nothing.
	Retries bool
}

// Stability is how stable written data has to be (stable_how, RFC 1813 §3.3.7).
type Stability uint32

// The values of Stability.
const (
	Unstable Stability = 0
	DataSync Stability = 1
	FileSync Stability = 2
)

// CreateMode is what to do about a file that exists (createmode3).
type CreateMode uint32

// The values of CreateMode (RFC 1813 §3.3.8).
const (
	Unchecked CreateMode = 0
	Guarded   CreateMode = 1
	Exclusive CreateMode = 2
)

// CreateHow says how Create makes a file.
type CreateHow struct {
	Mode     CreateMode
	Attr     SetAttr // of Unchecked and Guarded
	Verifier [8]byte // of Exclusive
}

// DirEntry is one entry of a listing. "." and ".." are entries too. Name is
// valid until the function that was given the entry returns.
type DirEntry struct {
	Name   []byte
	Fileid uint64
	// Cookie continues the listing behind this entry; it stays valid while
	// other entries come and go, over restarts too.
	Cookie uint64
	// Attr is set when attributes were asked for and could be had.
	Attr *Attr
}

// FSStat is how full the upper's file system is, and what it can do.
type FSStat struct {
	TotalBytes, FreeBytes, AvailBytes uint64
	TotalFiles, FreeFiles, AvailFiles uint64
	MaxFileSize                       uint64
	LinkMax, NameMax                  uint32
	TimeDelta                         Time // resolution of timestamps
	NoSymlinks, NoLinks               bool
	FSID                              uint64
}

// Errors besides syscall.Errno and those of package io/fs.
var (
	// ErrNotSync is a SetAttr whose guard does not hold.
	ErrNotSync = errors.New("object changed since the guard was read")
	// ErrWouldBlock asks the caller to come again with MayBlock.
	ErrWouldBlock = errors.New("operation would block")
	// ErrBadType is a Mknod of a type that it cannot make.
	ErrBadType = errors.New("object of a type that cannot be made")
)
