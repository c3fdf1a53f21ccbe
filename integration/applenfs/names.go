package applenfs

import (
	"errors"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// What a look-up of a last component is for (vnode.h, cn_nameiop).
type purpose int

const (
	toFind   purpose = iota
	toCreate         // the name is expected not to be there
	toDelete
	toRename // what is renamed, and what it is renamed to
)

// lookup finds a name in a directory: in the name cache, among the entries of its
// listing, or on the server (nfs_vnops.c, nfs_vnop_lookup). That a name is not there is
// remembered until the directory's mtime changes.
func (m *Mount) lookup(dir *node, name string, why purpose) (*node, error) {
	if err := m.attrs(dir, cached); err != nil {
		return nil, err
	}
	switch name {
	case ".":
		return dir, nil
	case "..":
		if dir.parent == nil {
			return dir, nil
		}
		return dir.parent, nil
	}
	n, known := dir.names[name]
	if known && n == nil {
		return nil, syscall.ENOENT
	}
	if n == nil && m.set.readdirplus {
		var whole bool
		var err error
		if n, whole, err = m.findListed(dir, name); err != nil {
			return nil, err
		}
		if n == nil && whole && isCompanion(name) {
			return nil, syscall.ENOENT // the listing has all names, and not this one
		}
	}
	if n != nil {
		return n, m.may(dir, nfsclient.AccessLookup)
	}
	return m.lookupOnServer(dir, name, why)
}

func (m *Mount) lookupOnServer(dir *node, name string, why purpose) (*node, error) {
	if uint32(len(name)) > m.path.NameMax {
		return nil, syscall.ENAMETOOLONG
	}
	fh, attr, c, err := m.lookupCall(dir, name)
	if errors.Is(err, nfsclient.ErrNoEnt) && why != toCreate {
		m.enter(dir, name, nil)
	}
	if err != nil {
		return nil, err
	}
	n, err := m.node(dir, name, fh, attr, c.xid)
	if err == nil && (why == toFind || why == toCreate) {
		m.enter(dir, name, n)
	}
	return n, err
}

// lookupCall asks the server for a name, past all caches (nfs_vnops.c, nfs_lookitup).
func (m *Mount) lookupCall(dir *node, name string) (nfsclient.FH, *nfsclient.Attr, *call, error) {
	if uint32(len(name)) > m.path.NameMax {
		return "", nil, nil, syscall.ENAMETOOLONG
	}
	return m.lookupReply(dir, m.startLookup(dir, name))
}

func (m *Mount) startLookup(dir *node, name string) *call {
	return m.w.start(&nfsclient.NameArgs{P: nfsclient.NFSProc(nfsclient.ProcLookup), Dir: dir.fh, Name: name})
}

// lookupReply is nfs3_lookup_rpc_async_finish.
func (m *Mount) lookupReply(dir *node, c *call) (nfsclient.FH, *nfsclient.Attr, *call, error) {
	var res nfsclient.LookupRes
	err := m.w.finish(c, &res)
	if err := errors.Join(err, m.post(dir, res.Dir, c)); err != nil {
		return "", nil, nil, err
	}
	if res.Attr != nil {
		return res.FH, res.Attr, c, nil
	}
	m.note("LOOKUP gave no attributes")
	var attr nfsclient.GetattrRes
	more := m.w.start(&nfsclient.HandleArgs{P: nfsclient.NFSProc(nfsclient.ProcGetattr), FH: res.FH})
	err = m.w.finish(more, &attr)
	return res.FH, &attr.Attr, more, err
}

// meet looks a name up past all caches and gives its node.
func (m *Mount) meet(dir *node, name string) (*node, error) {
	fh, attr, c, err := m.lookupCall(dir, name)
	if err != nil {
		return nil, err
	}
	n, err := m.node(dir, name, fh, attr, c.xid)
	if err == nil {
		m.enter(dir, name, n)
	}
	return n, err
}

// enter puts a name into the name cache; of nil, that it is not there.
func (m *Mount) enter(dir *node, name string, n *node) {
	if n == nil && !m.set.negatives {
		return
	}
	dir.forgetName(name)
	dir.names[name] = n
	if n != nil {
		n.links[link{dir, name}] = true
	}
}

func (n *node) forgetName(name string) {
	if old := n.names[name]; old != nil {
		delete(old.links, link{n, name})
	}
	delete(n.names, name)
}

// purge takes all names of an object, and all in it, from the name cache (cache_purge).
func (m *Mount) purge(n *node) {
	for l := range n.links {
		delete(l.dir.names, l.name)
	}
	clear(n.links)
	for name := range n.names {
		n.forgetName(name)
	}
}

// purgeNegatives forgets which names are not in a directory: one has been made there
// (nfs_vnops.c, nfs_negative_cache_purge).
func (m *Mount) purgeNegatives(dir *node) {
	for name, n := range dir.names {
		if n == nil {
			delete(dir.names, name)
		}
	}
}

// purgeName forgets an object's names and the listing's entry of one (nfs_vnops.c,
// nfs_name_cache_purge).
func (m *Mount) purgeName(dir *node, name string, n *node) {
	m.purge(n)
	if e := dir.listing.find(name); e != nil {
		e.valid = false
	}
}
