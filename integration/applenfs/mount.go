package applenfs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// Mount is a mounted file system. Its methods are safe for concurrent use, and are
// carried out one at a time; each may have many calls under way.
type Mount struct {
	o     Options
	set   settings
	clock Clock

	mu         sync.Mutex // guards what follows, and the nodes
	w          *wire
	nodes      map[nfsclient.FH]*node
	root       *node
	path       nfsclient.PathconfRes
	verifier   nfsclient.Verf // of the last WRITE or COMMIT
	bigCookies bool           // one did not fit into 32 bits
	silly      uint32         // number of the next silly name
	notes      []string
}

// New mounts. ctx bounds every call of the mount.
func New(ctx context.Context, o Options) (*Mount, error) {
	set, err := parseSettings(o.Settings)
	if err != nil {
		return nil, err
	}
	// The number that nfs_vnops.c begins with.
	m := &Mount{o: o, set: set, clock: o.Clock, nodes: map[nfsclient.FH]*node{}, silly: 0x20051025}
	if m.clock == nil {
		m.clock = machineClock{}
	}
	if m.w, err = newWire(ctx, &m.o, m.clock); err != nil {
		return nil, err
	}
	if err := m.mount(); err != nil {
		return nil, errors.Join(fmt.Errorf("mount %s: %w", o.Export, err), m.w.close())
	}
	return m, nil
}

// mount does what nfs3_mount and mountnfs of nfs_vfsops.c do, in their order.
func (m *Mount) mount() error {
	fh, err := m.rootHandle()
	if err != nil {
		return err
	}
	var attr nfsclient.GetattrRes
	c, err := m.askRoot(fh, nfsclient.ProcGetattr, &attr)
	if err != nil {
		return err
	}
	if m.root, err = m.node(nil, "", fh, &attr.Attr, c.xid); err != nil {
		return err
	}
	var info nfsclient.FsinfoRes
	if _, err = m.askRoot(fh, nfsclient.ProcFsinfo, &info); err != nil {
		return err
	}
	if err := m.set.clamp(&info); err != nil {
		return err
	}
	_, err = m.askRoot(fh, nfsclient.ProcPathconf, &m.path)
	if err == nil {
		_, err = m.askRoot(fh, nfsclient.ProcFsstat, &nfsclient.FsstatRes{})
	}
	return err
}

// rootHandle asks on a connection of its own (nfs_vfsops.c, nfs3_mount_rpc).
func (m *Mount) rootHandle() (fh nfsclient.FH, err error) {
	err = m.aside(func(c *nfsclient.Client) error {
		r, err := c.Mnt(m.w.ctx, m.o.Export)
		fh = r.FH
		return err
	})
	return fh, err
}

// aside makes a call of the kernel's on another connection (nfs_socket.c, nfs_aux_request).
func (m *Mount) aside(call func(*nfsclient.Client) error) error {
	nc, err := m.o.Dial(m.w.ctx)
	if err != nil {
		return err
	}
	c := nfsclient.New(nc, nfsclient.Options{Cred: kernel()})
	return errors.Join(call(c), c.Close())
}

// askRoot asks about the root, as the kernel.
func (m *Mount) askRoot(fh nfsclient.FH, proc uint32, res nfsclient.Results) (*call, error) {
	c := m.w.startAs(kernel(), &nfsclient.HandleArgs{P: nfsclient.NFSProc(proc), FH: fh})
	return c, m.w.finish(c, res)
}

// clamp makes sizes no larger than the server likes (nfs_vfsops.c, nfs3_fsinfo).
func (s *settings) clamp(info *nfsclient.FsinfoRes) error {
	const block = 512
	s.rsize = min(s.rsize, (info.Rtpref+block-1)/block*block)
	s.wsize = min(s.wsize, (info.Wtpref+block-1)/block*block)
	if info.Dtpref > 0 {
		s.dsize = min(s.dsize, info.Dtpref)
	}
	if s.rsize == 0 || s.wsize == 0 || info.Rtmax < s.rsize || info.Wtmax < s.wsize || info.Properties&nfsclient.FsinfoHomogeneous == 0 {
		return fmt.Errorf("FSINFO of no use: %+v", *info)
	}
	return nil
}

// Unmount writes what is left, removes what was removed while it was open, and says
// UMNT in version 1 of MOUNT, whatever the version of NFS (nfs_vfsops.c, nfs3_umount_rpc).
func (m *Mount) Unmount() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.syncAll()
	for _, n := range m.nodes {
		n.opens = 0
		err = errors.Join(err, m.inactive(n))
	}
	umnt := &nfsclient.PathArgs{P: nfsclient.Proc{Prog: nfsclient.MountProgram, Vers: 1, Num: nfsclient.ProcUmnt}, Path: m.o.Export}
	err = errors.Join(err, m.aside(func(c *nfsclient.Client) error { return c.Do(m.w.ctx, umnt, &nfsclient.VoidRes{}) }))
	return errors.Join(err, m.w.close())
}

// Sync writes all data (nfs_vfsops.c, nfs_vfs_sync).
func (m *Mount) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.syncAll()
}

func (m *Mount) syncAll() error {
	var errs []error
	for _, n := range m.nodes {
		errs = append(errs, m.flush(n))
	}
	return errors.Join(errs...)
}

// Monitor asks what the kernel asks about the root from time to time, as uid 0: NULL,
// GETATTR and FSSTAT (nfs_socket.c, nfs_mount_sock_thread and nfs_node.c, the vnode monitor).
func (m *Mount) Monitor() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	null := m.w.startAs(kernel(), &nfsclient.VoidArgs{P: nfsclient.NFSProc(nfsclient.ProcNull)})
	err := m.w.finish(null, &nfsclient.VoidRes{})
	var attr nfsclient.GetattrRes
	c, attrErr := m.askRoot(m.root.fh, nfsclient.ProcGetattr, &attr)
	if attrErr == nil {
		attrErr = m.load(m.root, &attr.Attr, c.xid)
	}
	_, statErr := m.askRoot(m.root.fh, nfsclient.ProcFsstat, &nfsclient.FsstatRes{})
	return errors.Join(err, attrErr, statErr)
}

// Cut ends the connection, as a network does that goes away.
func (m *Mount) Cut() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.w.close()
}

// Calls tells how many calls of each procedure there were, by its name.
func (m *Mount) Calls() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.w.counts)
}

// Connections tells how often the mount has connected.
func (m *Mount) Connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.w.dials
}

// Notes tells what the server did wrong that Apple's client would have hidden from
// programs, or suffered from in silence.
func (m *Mount) Notes() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.notes)
}

// begin begins a call of a program's, and gives what ends it.
func (m *Mount) begin() (end func()) {
	m.mu.Lock()
	if m.o.Forgetful {
		m.reclaim()
	}
	return m.mu.Unlock
}

func (m *Mount) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

// now is the time in seconds: caches know nothing finer.
func (m *Mount) now() int64 { return m.clock.Now().Unix() }
