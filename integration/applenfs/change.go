package applenfs

import (
	"encoding/binary"
	"errors"
	"strings"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// changed takes over what a reply tells of a directory in which the client has changed
// names: the cached names stay good when nobody else had changed it before. The
// directory's listing is then old in any case.
func (m *Mount) changed(dir *node, w *nfsclient.Wcc, c *call, err error) error {
	before, wccErr := m.wcc(dir, w, c)
	if err == nil && !c.unseen {
		m.judgeChange(dir, w, c)
	}
	dir.modified = true
	if dir.namesMtime == before {
		dir.namesMtime = dir.attr.Mtime
	}
	if w.After == nil {
		dir.stamp = never
	}
	return wccErr
}

// judgeChange notes what a server owes to clients that look at nothing but mtimes. What it
// has forgotten of a call that is sent again it may leave out.
func (m *Mount) judgeChange(dir *node, w *nfsclient.Wcc, c *call) {
	switch {
	case c.resent:
	case w.Before == nil || w.After == nil:
		m.note("%v in %s: wcc_data is not whole", c.args.Proc(), dir.name)
	case !later(w.After.Mtime, w.Before.Mtime):
		m.note("%v in %s: the directory's mtime went from %v to %v", c.args.Proc(), dir.name, w.Before.Mtime, w.After.Mtime)
	}
}

func later(a, b nfsclient.Time) bool { return a.Sec > b.Sec || a.Sec == b.Sec && a.Nsec > b.Nsec }

// take looks at the directory after a change in it; nfs_getattr throws away what has
// become old.
func (m *Mount) take(dir *node) error { return m.attrs(dir, cached) }

// taken says that an error is success all the same, since it may answer a call that was sent
// again (the kludges of nfs_vnops.c). The kernel does not look whether it was.
func (m *Mount) taken(c *call, err error, as nfsclient.Status) bool {
	if !errors.Is(err, as) {
		return false
	}
	if !c.resent {
		m.note("%v gave %v though it was sent once: programs are told that it was done", c.args.Proc(), as)
	}
	return true
}

// mode is a SetAttr of nothing else.
func mode(bits uint32) nfsclient.SetAttr { return nfsclient.SetAttr{Mode: &bits} }

// create makes a file (nfs_vnops.c, nfs3_vnop_create): UNCHECKED with its mode, or
// EXCLUSIVE and then a SETATTR of mode and times. GUARDED is never used.
func (m *Mount) create(dir *node, name string, bits uint32, exclusive bool) (*node, error) {
	args := &nfsclient.CreateArgs{Dir: dir.fh, Name: name, Mode: nfsclient.Unchecked, Attr: mode(bits)}
	if exclusive {
		args.Mode = nfsclient.Exclusive
		binary.BigEndian.PutUint32(args.Verf[:], 0x7f000001) // the client's address, and a number
		binary.BigEndian.PutUint32(args.Verf[4:], uint32(m.w.nextXID()))
	}
	n, c, err := m.make(dir, name, args)
	if errors.Is(err, nfsclient.ErrNotSupp) && exclusive {
		m.note("%s: EXCLUSIVE is not supported, and so not exclusive", name)
		return m.create(dir, name, bits, false)
	}
	if err == nil && n == nil {
		m.note("%v gave no handle", c.args.Proc())
		n, err = m.meet(dir, name)
	}
	if err == nil && exclusive {
		s := mode(bits)
		s.Atime.How, s.Mtime.How = nfsclient.ServerTime, nfsclient.ServerTime
		err = m.setattrCall(n, &s)
	}
	return n, err
}

// make carries out what makes a name, and looks for the name's companion meanwhile. n
// is nil where the reply has no handle.
func (m *Mount) make(dir *node, name string, args nfsclient.Args) (n *node, c *call, err error) {
	companion := m.expectCompanion(dir, name)
	c = m.w.start(args)
	companion.start()
	var res nfsclient.CreateRes
	err = m.w.finish(c, &res)
	if err == nil {
		m.purgeNegatives(dir)
	}
	err = errors.Join(err, m.changed(dir, &res.Dir, c, err), m.take(dir))
	if err == nil && res.FH != nil && res.Attr != nil {
		if n, err = m.node(dir, name, *res.FH, res.Attr, c.xid); err == nil {
			m.enter(dir, name, n)
		}
	}
	return n, c, errors.Join(err, companion.finish())
}

// mkdir makes a directory, symlink a symbolic link. That the name is there already is success
// where it is one (nfs3_vnop_mkdir, nfs3_vnop_symlink).
func (m *Mount) mkdir(dir *node, name string, bits uint32) (*node, error) {
	return m.makeOrMeet(dir, name, nfsclient.Dir, &nfsclient.MkdirArgs{Dir: dir.fh, Name: name, Attr: mode(bits)})
}

func (m *Mount) symlink(dir *node, name, target string) (*node, error) {
	return m.makeOrMeet(dir, name, nfsclient.Lnk, &nfsclient.SymlinkArgs{Dir: dir.fh, Name: name, Attr: mode(0o755), Target: target})
}

func (m *Mount) makeOrMeet(dir *node, name string, kind nfsclient.Type, args nfsclient.Args) (*node, error) {
	n, c, err := m.make(dir, name, args)
	if err == nil && n != nil || err != nil && !m.taken(c, err, nfsclient.ErrExist) {
		return n, err
	}
	n, err = m.meet(dir, name)
	if err == nil && n.kind != kind {
		return nil, syscall.EEXIST
	}
	return n, err
}

// mknod makes a FIFO, a socket or a device (nfs3_vnop_mknod).
func (m *Mount) mknod(dir *node, name string, kind nfsclient.Type, bits uint32) (*node, error) {
	n, _, err := m.make(dir, name, &nfsclient.MknodArgs{Dir: dir.fh, Name: name, Type: kind, Attr: mode(bits)})
	if err == nil && n == nil {
		return m.meet(dir, name)
	}
	return n, err
}

// link gives a file another name (nfs3_vnop_link).
func (m *Mount) link(n, dir *node, name string) error {
	if err := m.flush(n); err != nil {
		n.data.failed = err
	}
	c := m.w.start(&nfsclient.LinkArgs{FH: n.fh, Dir: dir.fh, Name: name})
	var res nfsclient.LinkRes
	err := m.w.finish(c, &res)
	attrErr := m.post(n, res.Attr, c)
	if res.Attr == nil {
		n.stamp = never
	}
	attrErr = errors.Join(attrErr, m.changed(dir, &res.Dir, c, err))
	if err == nil {
		m.purgeNegatives(dir)
	}
	if m.taken(c, err, nfsclient.ErrExist) {
		err = nil
	}
	return errors.Join(err, attrErr)
}

// removeCall is nfs3_remove_rpc.
func (m *Mount) removeCall(dir *node, name string) (*call, error) {
	c := m.w.start(&nfsclient.NameArgs{P: nfsclient.NFSProc(nfsclient.ProcRemove), Dir: dir.fh, Name: name})
	c.unseen = strings.HasPrefix(name, sillyPrefix)
	var res nfsclient.WccRes
	err := m.w.finish(c, &res)
	return c, errors.Join(err, m.changed(dir, &res.Wcc, c, err))
}

// remove removes a name of what is no directory; of a file that is open, only silly
// renames it (nfs_vnop_remove). The name is always looked up again, and before a
// removal, that is twice.
func (m *Mount) remove(dir *node, name string) error {
	n, err := m.meet(dir, name)
	if errors.Is(err, nfsclient.ErrNoEnt) {
		return nil // it has gone meanwhile
	}
	if err != nil {
		return err
	}
	companion := m.expectCompanion(dir, name)
	links := n.attr.Nlink
	switch {
	case n.open() && n.silly != nil && links <= 1:
		n.stamp = never
		companion.start()
	case n.open() && n.silly == nil:
		companion.start()
		err = m.sillyRename(dir, name, n)
		n.stamp = never
	default:
		err = m.removeClosed(dir, name, n, companion)
	}
	return errors.Join(err, m.take(dir), companion.finish())
}

func (m *Mount) removeClosed(dir *node, name string, n *node, companion *companion) error {
	if !n.open() {
		if err := m.invalidate(n); err != nil {
			n.data.failed = err
		}
		if _, err := m.meet(dir, name); err != nil {
			return err
		}
	}
	if err := m.attrs(n, cached); err != nil {
		return err
	}
	links := n.attr.Nlink
	m.purgeName(dir, name, n)
	companion.start()
	c, err := m.removeCall(dir, name)
	if m.taken(c, err, nfsclient.ErrNoEnt) {
		err = nil
	}
	n.stamp = never
	switch {
	case err == nil && !n.open() && n.silly == nil && links <= 1:
		m.unhash(n)
	case links > 1:
		n.xid = m.w.nextXID()
	}
	return err
}

// rmdir removes an empty directory (nfs3_vnop_rmdir).
func (m *Mount) rmdir(dir *node, name string, n *node) error {
	companion := m.expectCompanion(dir, name)
	c := m.w.start(&nfsclient.NameArgs{P: nfsclient.NFSProc(nfsclient.ProcRmdir), Dir: dir.fh, Name: name})
	companion.start()
	var res nfsclient.WccRes
	err := m.w.finish(c, &res)
	wccErr := m.changed(dir, &res.Wcc, c, err)
	m.purgeName(dir, name, n)
	wccErr = errors.Join(wccErr, m.take(dir), companion.finish())
	if m.taken(c, err, nfsclient.ErrNoEnt) {
		err = nil
	}
	if err == nil {
		m.unhash(n)
	}
	return errors.Join(err, wccErr)
}

// renameCall is nfs3_rename_rpc.
func (m *Mount) renameCall(from *node, fromName string, to *node, toName string) (*call, error) {
	c := m.w.start(&nfsclient.RenameArgs{FromDir: from.fh, FromName: fromName, ToDir: to.fh, ToName: toName})
	var res nfsclient.RenameRes
	err := m.w.finish(c, &res)
	return c, errors.Join(err, m.changed(from, &res.From, c, err), m.changed(to, &res.To, c, err))
}

// rename moves n; over is what has the new name, or nil. An open file there is silly
// renamed first (nfs_vnop_rename).
func (m *Mount) rename(from *node, fromName string, n *node, to *node, toName string, over *node) error {
	if over != nil && over.open() && over.silly == nil && !over.isDir() {
		if err := m.sillyRename(to, toName, over); err != nil {
			return err
		}
		over = nil
	}
	c, err := m.renameCall(from, fromName, to, toName)
	if m.taken(c, err, nfsclient.ErrNoEnt) {
		err = nil
	}
	if err == nil && over != nil && over.silly == nil && !over.open() && (!m.fresh(over) || over.attr.Nlink == 1) {
		m.unhash(over)
	}
	m.purgeName(from, fromName, n)
	if over != nil {
		m.purgeName(to, toName, over)
	}
	if err == nil {
		m.purgeNegatives(to)
		m.enter(to, toName, n)
		n.parent, n.name = to, toName
	}
	return errors.Join(err, m.take(from), m.take(to))
}

// setattr changes attributes (nfs_vnop_setattr). Before the times are set, all data
// is written: later it would change them.
func (m *Mount) setattr(n *node, s *nfsclient.SetAttr) error {
	var err error
	switch {
	case s.Size != nil:
		if err = m.beforeResize(n, *s.Size); err != nil {
			return err
		}
	case s.Atime.How != nfsclient.DontChange || s.Mtime.How != nfsclient.DontChange:
		if n.modified && n.kind == nfsclient.Reg {
			n.data.failed = errors.Join(m.invalidate(n), n.data.failed)
		}
	}
	size := n.data.size
	companion := &companion{}
	if s.Mode != nil || s.UID != nil || s.GID != nil {
		n.granted = grant{}
		if n.parent != nil {
			companion = m.expectCompanion(n.parent, n.name)
			companion.start()
		}
	}
	if s.Size != nil {
		n.data.resize(*s.Size)
		n.attr.Size = *s.Size
	}
	err = m.setattrCall(n, s)
	if err != nil && s.Size != nil {
		n.data.resize(size)
		n.attr.Size = size
	}
	return errors.Join(err, companion.finish())
}

// beforeResize writes what stays, and drops all.
func (m *Mount) beforeResize(n *node, size uint64) error {
	if n.isDir() {
		return syscall.EISDIR
	}
	if size == 0 {
		n.drop()
		return nil
	}
	return m.invalidate(n)
}

// setattrCall is nfs3_setattr_rpc.
func (m *Mount) setattrCall(n *node, s *nfsclient.SetAttr) error {
	c := m.w.start(&nfsclient.SetattrArgs{FH: n.fh, Attr: *s})
	var res nfsclient.WccRes
	err := m.w.finish(c, &res)
	before, wccErr := m.wcc(n, &res.Wcc, c)
	if n.mtime == before {
		n.mtime = n.attr.Mtime
	}
	if n.isDir() && n.namesMtime == before {
		n.namesMtime = n.attr.Mtime
	}
	if res.Wcc.After == nil {
		n.stamp = never
	}
	if next := m.w.nextXID(); next != c.xid+1 {
		n.xid = next // another call was under way: what it brings may be from before
		n.stamp = never
	}
	return errors.Join(err, wccErr)
}

// readlink gives a symbolic link's target (nfs_vnop_readlink).
func (m *Mount) readlink(n *node) (string, error) {
	if err := m.attrs(n, cached); err != nil {
		return "", err
	}
	if n.target != "" {
		return n.target, nil
	}
	c := m.w.start(&nfsclient.HandleArgs{P: nfsclient.NFSProc(nfsclient.ProcReadlink), FH: n.fh})
	var res nfsclient.ReadlinkRes
	err := m.w.finish(c, &res)
	if err := errors.Join(err, m.post(n, res.Attr, c)); err != nil {
		return "", err
	}
	n.target = res.Target
	return n.target, nil
}
