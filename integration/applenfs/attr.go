package applenfs

import (
	"errors"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// timeout is how long attributes are taken for true: a tenth of the time since the
// last change, within bounds, and the shortest for what the client has
// changed itself (nfs_subs.c, nfs_attrcachetimeout). An mtime of 1 always gives the longest.
func (m *Mount) timeout(n *node) int64 {
	bounds := m.set.file
	switch {
	case n == m.root:
		bounds = m.set.root
	case n.isDir():
		bounds = m.set.dir
	}
	if n.modified {
		return bounds.min
	}
	age := m.now() - int64(n.attr.Mtime.Sec)
	return min(max(age/10, bounds.min), bounds.max)
}

// fresh says that the cached attributes are still taken for true (nfs_subs.c,
// nfs_getattrcache).
func (m *Mount) fresh(n *node) bool { return n.stamp != never && m.now()-n.stamp < m.timeout(n) }

// source says where attributes may come from.
type source int

const (
	cached source = iota
	uncached
)

// attrs makes the node's attributes true, and throws away what was cached of an object
// that has changed. Of a file or symbolic link that is stale and not open, it tries
// the name once more (nfs_vnops.c, nfs_getattr and nfs_refresh_fh).
func (m *Mount) attrs(n *node, from source) error {
	err := m.ask(n, from)
	if errors.Is(err, nfsclient.ErrStale) && m.refresh(n) {
		err = m.ask(n, from)
	}
	return err
}

// mostTries is how often a GETATTR is asked again whose answer came too late.
const mostTries = 20

func (m *Mount) ask(n *node, from source) error {
	if from == cached && m.fresh(n) {
		m.loadSize(n)
		return m.lookForChange(n)
	}
	for range mostTries {
		c := m.w.start(&nfsclient.HandleArgs{P: nfsclient.NFSProc(nfsclient.ProcGetattr), FH: n.fh})
		var res nfsclient.GetattrRes
		if err := m.w.finish(c, &res); err != nil {
			return err
		}
		dropped, err := m.loadOrDrop(n, &res.Attr, c.xid)
		if err != nil {
			return err
		}
		if !dropped {
			break
		}
	}
	return m.lookForChange(n)
}

// lookForChange compares the mtime with that of the caches, and nothing else.
func (m *Mount) lookForChange(n *node) error {
	mtime := n.attr.Mtime
	if n.isDir() && n.namesMtime != mtime {
		m.purge(n)
		n.listing.generation++
		n.namesMtime = mtime
	}
	if n.mtime == mtime {
		return nil
	}
	n.listing.forgetCookies()
	if err := m.invalidate(n); err != nil {
		return err
	}
	n.mtime = mtime
	return nil
}

// invalidate writes what the server has not been given, and drops the cache (nfs_bio.c,
// nfs_vinvalbuf2 with V_SAVE).
func (m *Mount) invalidate(n *node) error {
	err := m.flush(n)
	n.drop()
	return err
}

// drop throws the cache away (nfs_vinvalbuf2 without V_SAVE).
func (n *node) drop() {
	n.listing.buffers = nil
	n.data.pages = nil
	n.data.dirty, n.data.uncommitted = nil, nil
	n.target = ""
	n.modified = false
}

// refresh looks a stale file up by its name and gives it the handle that is there now.
func (m *Mount) refresh(n *node) bool {
	if n.parent == nil || n.open() || n.kind != nfsclient.Reg && n.kind != nfsclient.Lnk {
		return false
	}
	n.drop()
	fh, attr, c, err := m.lookupCall(n.parent, n.name)
	if err != nil {
		return false
	}
	m.unhash(n)
	n.fh = fh
	m.nodes[fh] = n
	return m.load(n, attr, c.xid) == nil
}

// grant is what the server said that the user may do.
type grant struct {
	rights uint32
	stamp  int64
}

const allRights = nfsclient.AccessRead | nfsclient.AccessLookup | nfsclient.AccessModify |
	nfsclient.AccessExtend | nfsclient.AccessDelete | nfsclient.AccessExecute

// may asks whether the user has the rights: for all at once, whenever the cached answer
// is old or says no (nfs_vnops.c, nfs_vnop_access and nfs3_access_rpc). That a file may
// be removed is always believed.
func (m *Mount) may(n *node, rights uint32) error {
	if m.now() < n.granted.stamp+m.set.accessTime && n.granted.rights&rights == rights {
		return nil
	}
	c := m.w.start(&nfsclient.AccessArgs{FH: n.fh, Access: allRights})
	var res nfsclient.AccessRes
	err := m.w.finish(c, &res)
	if err := errors.Join(err, m.post(n, res.Attr, c)); err != nil {
		return err
	}
	n.granted = grant{res.Access | nfsclient.AccessDelete, m.now()}
	if n.granted.rights&rights != rights {
		return syscall.EACCES
	}
	return nil
}
