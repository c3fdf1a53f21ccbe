package applenfs

import (
	"fmt"
	"os"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// sillyName is where a file is that was removed while it was open.
type sillyName struct {
	dir  *node
	name string
}

// sillyPrefix begins the names of such files. No listing shows them.
const sillyPrefix = ".nfs."

// sillyRename gives an open file a name that nobody else uses (nfs_vnops.c,
// nfs_sillyrename).
func (m *Mount) sillyRename(dir *node, name string, n *node) error {
	m.purgeName(dir, name, n)
	silly := m.nextSilly()
	for {
		_, _, _, err := m.lookupCall(dir, silly)
		if err != nil {
			break
		}
		silly = m.nextSilly()
	}
	c, err := m.renameCall(dir, name, dir, silly)
	if err != nil && !m.taken(c, err, nfsclient.ErrNoEnt) {
		return err
	}
	m.purgeNegatives(dir)
	// The kernel sets the name whatever the look-up says.
	fh, attr, c, err := m.lookupCall(dir, silly)
	n.silly = &sillyName{dir, silly}
	if err != nil {
		m.note("%s, silly-renamed to %s, is not to be found: %v", name, silly, err)
		return nil
	}
	if fh != n.fh {
		m.note("%s, silly-renamed to %s, has become another object", name, silly)
	}
	return m.load(n, attr, c.xid)
}

// nextSilly makes a name of a number and a process.
func (m *Mount) nextSilly() string {
	m.silly++
	return fmt.Sprintf(sillyPrefix+"%08x.%04x", m.silly, os.Getpid()&0xffff)
}

// inactive removes what was silly renamed, when the last program has closed it
// (nfs_node.c, nfs_vnop_inactive).
func (m *Mount) inactive(n *node) error {
	silly := n.silly
	if silly == nil || n.open() {
		return nil
	}
	n.silly = nil
	err := m.invalidate(n)
	gone := m.attrs(n, uncached) != nil || n.attr.Nlink <= 1
	m.purgeName(silly.dir, silly.name, n)
	c, removeErr := m.removeCall(silly.dir, silly.name)
	if removeErr != nil && !c.resent {
		m.note("REMOVE of %s, whose file was closed: %v", silly.name, removeErr)
	}
	if gone {
		m.unhash(n)
	}
	return err
}
