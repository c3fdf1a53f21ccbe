package applenfs

import (
	"errors"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// isCompanion says that a name is that of an AppleDouble file, in which macOS keeps what
// NFSv3 has no place for: extended attributes.
func isCompanion(name string) bool { return strings.HasPrefix(name, "._") && name != "._" }

func companionOf(name string) string { return "._" + name }

// companion is a look-up of an AppleDouble file, beside a call about the file it belongs
// to (nfs_vnops.c, nfs_dulookup_init, _start and _finish). The zero value looks up nothing.
type companion struct {
	m    *Mount
	dir  *node
	name string
	call *call
}

// expectCompanion prepares to look a name's companion up where the caches do not know
// of it, and remember if there is none.
func (m *Mount) expectCompanion(dir *node, name string) *companion {
	if !m.set.negatives || strings.HasPrefix(name, "._") {
		return &companion{}
	}
	du := companionOf(name)
	if _, known := dir.names[du]; known || m.set.readdirplus && dir.listing.find(du) != nil {
		return &companion{}
	}
	return &companion{m: m, dir: dir, name: du}
}

// start sends the look-up.
func (c *companion) start() {
	if c.m != nil && c.call == nil {
		c.call = c.m.startLookup(c.dir, c.name)
	}
}

// finish takes in the reply.
func (c *companion) finish() error {
	if c.call == nil {
		return nil
	}
	fh, attr, call, err := c.m.lookupReply(c.dir, c.call)
	switch {
	case errors.Is(err, nfsclient.ErrNoEnt):
		c.m.enter(c.dir, c.name, nil)
	case err == nil:
		n, err := c.m.node(c.dir, c.name, fh, attr, call.xid)
		if err == nil {
			c.m.enter(c.dir, c.name, n)
		}
	}
	// Nobody is told of other failures.
	return nil
}

// What follows is of the kernel above the file system (xnu, bsd/vfs/kpi_vfs.c): on
// file systems without extended attributes each file's companion goes the way of the file.

// removeCompanion removes the companion of a name that was removed; of a name that was
// made, only one that is left over from another file (xattrfile_remove).
func (m *Mount) removeCompanion(dir *node, name string, force bool) error {
	du := companionOf(name)
	n, err := m.lookup(dir, du, toDelete)
	if err != nil || n.kind != nfsclient.Reg {
		return nil
	}
	if !force {
		if err := m.attrs(n, cached); err != nil || !m.stale(n) {
			return err
		}
	}
	return m.remove(dir, du)
}

// stale says that a companion belongs to no file that is just being made.
func (m *Mount) stale(n *node) bool {
	old := func(t nfsclient.Time) bool { return m.now()-int64(t.Sec) > m.set.staleCompany }
	return n.attr.Size == 0 || old(n.attr.Mtime) && old(n.attr.Ctime)
}

// setattrCompanion changes owner and mode along with the file (xattrfile_setattr).
func (m *Mount) setattrCompanion(of *node, s *nfsclient.SetAttr) error {
	if s.Mode == nil && s.UID == nil && s.GID == nil || of.parent == nil || isCompanion(of.name) {
		return nil
	}
	n, err := m.lookup(of.parent, companionOf(of.name), toFind)
	if err != nil || n.kind != nfsclient.Reg {
		return nil
	}
	return m.setattr(n, &nfsclient.SetAttr{Mode: s.Mode, UID: s.UID, GID: s.GID})
}

// renameCompanion moves the companion along, or removes the one at the new name (vn_rename).
func (m *Mount) renameCompanion(from *node, fromName string, n *node, to *node, toName string) error {
	over, err := m.lookup(to, companionOf(toName), toRename)
	if err != nil {
		over = nil
	}
	switch {
	case n != nil:
		return m.rename(from, companionOf(fromName), n, to, companionOf(toName), over)
	case over != nil:
		return m.remove(to, companionOf(toName))
	}
	return nil
}
