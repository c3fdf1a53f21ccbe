package applenfs

import (
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// never is the time of what is not cached.
const never = -1

// node is an object that the client knows: Apple's nfsnode and its vnode.
type node struct {
	fh   nfsclient.FH
	kind nfsclient.Type
	// parent and name are where the object was last met; nil and "" for the root.
	parent *node
	name   string

	// attr was true at stamp, and came with the reply to xid.
	attr  nfsclient.Attr
	stamp int64
	xid   uint64
	// mtime is that of the cached data, namesMtime that of the cached names: nothing
	// else says whether they are still right (nfsnode.h, NFS_CHANGED and NFS_CHANGED_NC).
	mtime, namesMtime nfsclient.Time
	// modified: the client has changed it since the cache was last flushed (NMODIFIED).
	modified bool

	granted grant
	opens   int
	writing int // opens for writing
	silly   *sillyName
	links   map[link]bool // names in the name cache that are this object's
	target  string        // of a symbolic link, "" when it is to be read

	names   map[string]*node // of a directory; nil is a name that is not there
	listing listing
	data    data
}

// link is a name in a directory.
type link struct {
	dir  *node
	name string
}

func (n *node) isDir() bool { return n.kind == nfsclient.Dir }

// open says that programs have the object open.
func (n *node) open() bool { return n.opens > 0 }

// node gives the node of a handle and loads its attributes, which came with the
// reply to xid. It makes one where there is none (nfs_node.c, nfs_nget).
func (m *Mount) node(dir *node, name string, fh nfsclient.FH, attr *nfsclient.Attr, xid uint64) (*node, error) {
	n := m.nodes[fh]
	if n == nil {
		return m.newNode(dir, name, fh, attr, xid), nil
	}
	if err := m.load(n, attr, xid); err != nil {
		return nil, err
	}
	if dir != nil && dir != n {
		n.parent, n.name = dir, name
	}
	return n, nil
}

func (m *Mount) newNode(dir *node, name string, fh nfsclient.FH, attr *nfsclient.Attr, xid uint64) *node {
	n := &node{
		fh: fh, kind: attr.Type, parent: dir, name: name,
		attr: *attr, stamp: m.now(), xid: xid, mtime: attr.Mtime, namesMtime: attr.Mtime,
		links: map[link]bool{}, names: map[string]*node{},
	}
	n.data.size = attr.Size
	m.nodes[fh] = n
	return n
}

// unhash makes that the handle leads to this node no more: should the server give it
// to another object, that is another node.
func (m *Mount) unhash(n *node) {
	if m.nodes[n.fh] == n {
		delete(m.nodes, n.fh)
	}
}

// reclaim forgets the nodes that nobody has open and that have nothing to be written, and
// all that is cached of the others (nfs_node.c, nfs_vnop_reclaim).
func (m *Mount) reclaim() {
	kept := map[*node]bool{m.root: true}
	for _, n := range m.nodes {
		if n.open() || n.silly != nil || len(n.data.dirty) > 0 || len(n.data.uncommitted) > 0 {
			for ; n != nil; n = n.parent {
				kept[n] = true
			}
		}
	}
	for fh, n := range m.nodes {
		m.purge(n)
		if !kept[n] {
			delete(m.nodes, fh)
		}
	}
}

// load takes attributes over from a reply (nfs_subs.c, nfs_loadattrcache). Those that
// came with an older call than the present ones are dropped, and the present ones
// with them; dropped tells. The kind of an object cannot change.
func (m *Mount) load(n *node, attr *nfsclient.Attr, xid uint64) error {
	_, err := m.loadOrDrop(n, attr, xid)
	return err
}

func (m *Mount) loadOrDrop(n *node, attr *nfsclient.Attr, xid uint64) (dropped bool, err error) {
	if xid < n.xid {
		n.stamp = never
		return true, nil
	}
	if attr.Type != n.kind {
		m.note("%s (%v): was of type %d and is of type %d", n.name, n.fh, n.kind, attr.Type)
		return false, syscall.ESTALE
	}
	if attr.Fileid != n.attr.Fileid || attr.FSID != n.attr.FSID {
		m.note("%s (%v): fileid %x in %x became %x in %x", n.name, n.fh, n.attr.Fileid, n.attr.FSID, attr.Fileid, attr.FSID)
	}
	n.attr, n.stamp, n.xid = *attr, m.now(), xid
	m.loadSize(n)
	return false, nil
}

// loadSize makes the cached data as long as the attributes say, but for data that the
// server has not been given yet.
func (m *Mount) loadSize(n *node) {
	switch {
	case n.kind != nfsclient.Reg:
	case n.modified && n.attr.Size < n.data.size:
		n.attr.Size = n.data.size
	default:
		n.data.resize(n.attr.Size)
	}
}

// post takes over attributes that came along with a reply.
func (m *Mount) post(n *node, attr *nfsclient.Attr, c *call) error {
	if attr == nil {
		return nil
	}
	return m.load(n, attr, c.xid)
}

// wcc takes over what a reply tells of a changed object, and gives the mtime from before
// the change, or 0 (nfs_subs.c, nfsm_chain_get_wcc_data_f). Apple's client looks at
// nothing else in it.
func (m *Mount) wcc(n *node, w *nfsclient.Wcc, c *call) (before nfsclient.Time, err error) {
	if w.Before != nil {
		before = w.Before.Mtime
	}
	return before, m.post(n, w.After, c)
}
