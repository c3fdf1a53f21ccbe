package setup

import (
	"github.com/nixnfsd/nixnfsd/internal/hook"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
)

// Seen is a machine as it was looked at.
type Seen struct {
	Release   synthetic.Release    // of macOS
	Manifests []synthetic.Manifest // of macOS
	Point     Point
	// Files are the contents of those that setup writes, and that are there; a
	// program's is left out where it is not this one.
	Files map[string][]byte
	Dirs  map[string]bool // those that setup needs, and that are there
	Full  map[string]bool // of the server's directories, those that hold something
	Noted map[string]bool // what the receipts tell of
	Left  []Left          // what was killed has left it
	Runs  map[string]bool // jobs and units that run, by their names
	Hooks []hook.File     // start-up files of shells with lines of ours
	Fstab string
	// Others are paths of other installations of Nix that are there.
	Others  []string
	InMount bool // the program, or a link on the way to it, leads into the mount
	// Loose are directories above root's files that others than root may change.
	Loose []string
	// Sticky are those of them in which each may have files of his own, as /tmp is (chmod(2), S_ISVTX).
	Sticky []string
	// NoManager is why the user's manager does not answer; UnitPath is where it looks for units.
	NoManager string
	UnitPath  []string
	// NoSystemd: the machine is not run by it. NoHelper: mount(8) cannot mount NFS.
	NoSystemd, NoHelper bool
}

// Left is a receipt that tells of nothing, and what is beside it.
type Left struct {
	Root    bool // it is root's
	Receipt string
}

// Kind is what is at a path.
type Kind string

// The values of Kind.
const (
	Absent    Kind = ""
	Directory Kind = "directory"
	Symlink   Kind = "symbolic link"
	Other     Kind = "file"
)

// Point is what is at the mount point. Of what is mounted there nothing more is
// looked at: it may be dead.
type Point struct {
	Mount  *mount.Entry // nil: nothing is mounted there
	Kind   Kind
	Target string   // of a symbolic link
	Names  []string // the first entries of a directory
}
