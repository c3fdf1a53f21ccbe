// Package gonfs serves a directory with go-nfs (github.com/willscott/go-nfs) over billy's
// osfs, as its example does, for the benchmark to hold nixnfsd against.
package gonfs

import (
	"net"
	"os"
	"time"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	gonfs "github.com/willscott/go-nfs"
	"github.com/willscott/go-nfs/helpers"
)

// maxHandles is more than the benchmark makes a server give out: a handle that go-nfs has
// forgotten is stale.
const maxHandles = 1 << 21

// Serve serves root to whoever connects to l, until l is closed.
func Serve(l net.Listener, root string) error {
	h := helpers.NewNullAuthHandler(changeable{osfs.New(root)})
	return gonfs.Serve(l, helpers.NewCachingHandlerWithVerifierLimit(h, maxHandles, verifiers))
}

// verifiers is how many listings are kept: the example's number. Each is a whole directory.
const verifiers = 1024

// changeable lets attributes be changed (billy.Change), which osfs by itself does not.
type changeable struct{ billy.Filesystem }

func (f changeable) path(name string) string { return f.Join(f.Root(), name) }

// Chmod implements billy.Change.
func (f changeable) Chmod(name string, mode os.FileMode) error { return os.Chmod(f.path(name), mode) }

// Chown implements billy.Change.
func (f changeable) Chown(name string, uid, gid int) error { return os.Chown(f.path(name), uid, gid) }

// Lchown implements billy.Change.
func (f changeable) Lchown(name string, uid, gid int) error { return os.Lchown(f.path(name), uid, gid) }

// Chtimes implements billy.Change.
func (f changeable) Chtimes(name string, atime, mtime time.Time) error {
	return os.Chtimes(f.path(name), atime, mtime)
}
