package overlay

import (
	"fmt"
	"os"
	"path/filepath"
)

// Options say what to open.
type Options struct {
	// Upper is the writable directory. It has to exist.
	Upper string
	// Lowers are read-only directories that are merged under it; the first
	// wins. What changes in them while they are served shows at the latest with
	// FS.Refresh.
	Lowers []string
	// Work holds what is half made, on Upper's file system; it is made where it
	// is missing. Default: Upper with ".work" appended.
	Work string
	// State is where the places of the objects that clients know are kept, so
	// that handles work after a restart. Empty: they are not kept.
	State string
	// ReadOnly refuses every change with EROFS.
	ReadOnly bool
	// Locks are those of an FS that was closed (FS.Locks): the directories are never let go
	// of. They stay the caller's, who can close them then.
	Locks []*os.File
	// MaxOpen bounds the descriptors that are kept open between calls.
	// Zero: half of what the process may open, at most 4096.
	MaxOpen int
	// MaxNodes is how many objects are kept in memory between calls, more or less; the
	// others are in State. Zero: some 65,000.
	MaxNodes int
	// Warn, where it is set, is told of what a human should know, and no call's error
	// tells: that there are many more objects in memory than MaxNodes.
	Warn func(error)
	// segment is how long a segment of the journal is, where tests want them short.
	segment int64
}

func (o *Options) setDefaults() {
	if o.Work == "" {
		o.Work = filepath.Clean(o.Upper) + ".work"
	}
}

// LockedError says that another server, or fsck, holds the upper, work or state directory.
type LockedError struct {
	Dir string
	PID int // of the holder; 0 where it is not known
}

func (e *LockedError) Error() string {
	if e.PID != 0 {
		return fmt.Sprintf("%s is in use by another nixnfsd, process %d", e.Dir, e.PID)
	}
	return e.Dir + " is in use by another nixnfsd"
}

// UnfitError says that a directory cannot be what it was given as.
type UnfitError struct {
	Dir    string
	Reason string // what is missing, as the end of a sentence "DIR …"
	Err    error  // of the system call that showed it; may be nil
	Mend   string // what to do, where that is not to choose another file system
}

func (e *UnfitError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s %s: %v", e.Dir, e.Reason, e.Err)
	}
	return e.Dir + " " + e.Reason
}

func (e *UnfitError) Unwrap() error { return e.Err }
