package doctor

import (
	"context"
	"io/fs"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/keep"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// Config is what is looked at.
type Config struct {
	// Setup is who looks, from what program, and what setup would be given.
	Setup *setup.Config
	// Layout has the server's directories, with no link followed.
	Layout mount.Layout
	// Version is this program's.
	Version string
	// Restart is the command line that puts this program in the running server's place.
	Restart []string
}

// Eyes is what is asked of others than the file system.
type Eyes struct {
	// Run runs a program, named by its whole path.
	Run setup.Runner
	// Status looks at server and mount.
	Status func(context.Context) (mount.Status, error)
	// Server asks the running server, and gives nil where none takes orders.
	Server func(context.Context) (*Server, error)
	// Keeper asks the keeper, and gives nil where none takes orders.
	Keeper func(context.Context) (*keep.Status, error)
}

// Sight is what was seen at one time.
type Sight struct {
	Config
	Now    time.Time
	Status mount.Status

	Server  *Server      // nil: none takes orders
	Process *Process     // nil: not known
	Keeper  *keep.Status // nil: none takes orders

	Machine *setup.Seen // nil: not known
	// Root and User are the receipts, and Digests of the files that they name.
	Root, User setup.Receipt
	Digests    setup.Digests
	// BadReceipt is why one of them cannot be read.
	BadReceipt error
	Jobs       []Job

	Dirs  []Dir
	Store Place // /nix/store
	Var   Place // /nix/var
	// Database is Nix's, nil: there is none.
	Database *Database
	// Removed is how many files are kept that were removed while they were open.
	Removed int
	// Newest is when something in the state directory changed last.
	Newest time.Time

	// Copied are directories that Time Machine backs up; Indexed is one that Spotlight
	// may look into. macOS.
	Copied  []string
	Indexed string
	// StaleHooks are shells' start-up files whose lines are of a program elsewhere.
	StaleHooks []string

	// Unseen is what could not be looked at, and why.
	Unseen []string
}

// Server is what a running server says of itself.
type Server struct {
	Version string
	Layers  []overlay.Layer
}

// Process is the one that listens.
type Process struct {
	PID       int
	Replaced  bool   // its program is no longer at its path
	OpenFiles uint64 // how many it may have, 0: not known
}

// Job is one of launchd's, or a unit of systemd's, whose file is there.
type Job struct {
	Keeper bool // it is the keeper's, root's; else the server's
	Loaded bool
	Off    bool // it does not start at login, or with the machine
	Stale  bool // its file has changed since it was read
	Running,
	Failed bool // it does not run because it failed
	Reason string // in its manager's words, where it does not run
}

// Dir is one of the server's directories.
type Dir struct {
	Use     string // "upper", "work" or "state"
	Path    string
	InMount bool   // nothing more is known then
	Real    string // where symbolic links on the way lead
	There   bool
	Dir     bool // it is one
	UID     int
	Mode    fs.FileMode // permissions
	Key     *Key        // of the state directory

	Avail, Total uint64 // bytes of its file system, to an ordinary user; 0: not known
	Files        uint64 // that can still be made there
	MaxFiles     uint64 // 0: there is no bound
}

// Key is the file of the handles' key.
type Key struct {
	Mode fs.FileMode // no link is followed
	Size int64
}

// Place is what is at a path in the upper.
type Place struct {
	Kind    setup.Kind
	Target  string // of a symbolic link, as it is written
	InMount bool   // it leads into the mount
	Missing bool   // it leads to nothing
}

// Database is a file of SQLite's (sqlite.org/fileformat2.html, 1.3).
type Database struct {
	Path    string
	Broken  bool // it does not begin as one
	WAL     bool
	OnMount bool // it is in the upper, and not behind a link
}
