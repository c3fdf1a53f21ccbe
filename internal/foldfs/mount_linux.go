package foldfs

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// Options say what else the file system lacks. The zero value is like APFS.
type Options struct {
	// HFSPlus has whole seconds, no exchange of names, and no links to symbolic links.
	HFSPlus bool
}

// Mount mounts an empty file system until the test ends.
func Mount(t testing.TB, o Options) (dir string) {
	t.Helper()
	dir = t.TempDir()
	fd, err := unix.Open(t.TempDir(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	v := &volume{options: o, spelt: map[key]string{}, nodes: map[fs.StableAttr]*node{}}
	root := &node{volume: v, fd: fd}
	var zero time.Duration
	server, err := fs.Mount(dir, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "foldfs", Name: "foldfs", AllowOther: true, Options: []string{"default_permissions"}},
		EntryTimeout: &zero, AttrTimeout: &zero, NegativeTimeout: &zero, NullPermissions: true,
	})
	testenv.Require(t, err == nil, fmt.Sprint("cannot mount with FUSE: ", err))
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Error(err)
		}
		v.close()
		unix.Close(root.fd)
	})
	return dir
}

// volume knows how names are spelt: the directory under it has them folded.
type volume struct {
	options Options
	nodesMu sync.Mutex // guards nodes
	mu      sync.Mutex // held while names change or are listed
	spelt   map[key]string
	nodes   map[fs.StableAttr]*node
}

// known gives the node of an object, which is fd, and keeps that open for a new one.
func (v *volume) known(ctx context.Context, parent *node, id fs.StableAttr, fd int) *fs.Inode {
	v.nodesMu.Lock()
	defer v.nodesMu.Unlock()
	if n := v.nodes[id]; n != nil {
		unix.Close(fd)
		return n.EmbeddedInode()
	}
	n := &node{volume: v, fd: fd}
	v.nodes[id] = n
	return parent.NewInode(ctx, n, id)
}

// forget closes the descriptor of an object that cannot be looked up again.
func (v *volume) forget(n *node) {
	v.nodesMu.Lock()
	defer v.nodesMu.Unlock()
	var st unix.Stat_t
	if v.nodes[n.StableAttr()] == n && unix.Fstat(n.fd, &st) == nil && st.Nlink == 0 {
		delete(v.nodes, n.StableAttr())
		unix.Close(n.fd)
	}
}

// close closes all descriptors: the kernel forgets no node when it is unmounted.
func (v *volume) close() {
	v.nodesMu.Lock()
	defer v.nodesMu.Unlock()
	for _, n := range v.nodes {
		unix.Close(n.fd)
	}
	clear(v.nodes)
}

// key is a folded name in a directory.
type key struct {
	dir  uint64
	name string
}

// fold gives what all names have in common that are one.
func fold(name string) string { return norm.NFD.String(cases.Fold().String(norm.NFD.String(name))) }

// renames reports whether a rename with flags can be had.
func (v *volume) renames(flags uint32) syscall.Errno {
	if v.options.HFSPlus && flags&unix.RENAME_EXCHANGE != 0 {
		return syscall.EINVAL
	}
	return 0
}

// coarsen takes the fractions off times.
func (v *volume) coarsen(a *fuse.Attr) {
	if v.options.HFSPlus {
		a.Atimensec, a.Mtimensec, a.Ctimensec = 0, 0, 0
	}
}
