package overlay

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/bootid"
)

// sillyNames are the names that clients gave to open files instead of removing them.
// The files are not in the upper but in a directory of the work directory, under names
// that say all that the table knows.
type sillyNames struct {
	dir *node // where they are: the parent of their places
	// run is this run of the kernel, as their names say it.
	run string
	// count is how many there are, so that who finds none asks no lock.
	count atomic.Int32
	mu    sync.RWMutex
	m     map[sillyName]*node
}

// sillyName is a silly name as clients know it.
type sillyName struct {
	dir  ID
	name string
}

// sillyDir is the directory in the work directory for files with silly names.
const sillyDir = "silly"

// unknownRun stands for a run of the kernel that the system did not tell from others.
const unknownRun = "unknown"

// kernelRun tells one run of the kernel from the next in stored names.
func kernelRun() (string, error) {
	boot, err := bootid.Get()
	if err != nil || boot == "" {
		return unknownRun, err
	}
	return fmt.Sprintf("%016x", hashBytes([]byte(boot))), nil
}

// unused reports whether nobody can have a file open any more that got its silly name
// in another run of the kernel: no client outlives that.
func (s *sillyNames) unused(run string) bool {
	return run != s.run && run != unknownRun && s.run != unknownRun
}

// get gives the object of a silly name, or nil.
func (s *sillyNames) get(dir ID, name []byte) *node {
	if s.count.Load() == 0 {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[sillyName{dir, string(name)}]
}

func (s *sillyNames) add(name sillyName, n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[sillyName]*node)
	}
	s.m[name] = n
	s.count.Store(int32(len(s.m)))
}

func (s *sillyNames) drop(dir ID, name []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, sillyName{dir, string(name)})
	s.count.Store(int32(len(s.m)))
}

// stored is the name of a file in the work directory that has a silly name.
func (s *sillyNames) stored(dir, id ID, name []byte) string {
	return strings.Join([]string{s.run, indexName(dir), indexName(id), string(name) + "\x00"}, "-")
}

func parseSilly(stored string) (run string, name sillyName, id ID, ok bool) {
	parts := strings.SplitN(stored, "-", 4)
	if len(parts) != 4 || parts[3] == "" {
		return "", name, id, false
	}
	dir, isDir := parseIndexName(parts[1])
	id, isID := parseIndexName(parts[2])
	return parts[0], sillyName{dir, parts[3]}, id, isDir && isID
}

// isSilly reports whether a client renames an object in its directory because it is
// open and was removed. Linux's client makes the new name of the object's fileid,
// which nobody else would (nfs_sillyrename in fs/nfs/unlink.c). Apple's makes it of
// a counter and a process (nfs_sillyrename in NFS/kext/nfs_vnops.c): there the pattern
// has to do, and other clients' files may have such names.
func isSilly(c Caller, n *node, name []byte) bool {
	if n.isDir() || !strings.HasPrefix(string(name), ".nfs") {
		return false
	}
	rest := name[len(".nfs"):]
	if len(rest) == 16+8 {
		return isHex(rest) && string(rest[:16]) == fmt.Sprintf("%016x", n.id.Fileid)
	}
	return c.Apple && len(rest) == 1+8+1+4 && rest[0] == '.' && rest[9] == '.' && isHex(rest[1:9]) && isHex(rest[10:])
}

// isHex reports whether b are digits as %x prints them.
func isHex(b []byte) bool {
	return strings.Trim(string(b), hexDigits) == ""
}

// findSilly gives the object of a silly name where the layers have no such name; err is
// what looking there gave.
func (fs *FS) findSilly(d *node, name []byte, f *found, err error) (*node, error) {
	if err != syscall.ENOENT {
		return nil, err
	}
	n := fs.silly.get(d.id, name)
	if n == nil {
		return nil, err
	}
	if err := fs.statSilly(n, f); err != nil {
		return nil, err
	}
	f.whiteout = f.whiteout && f.layer == 0
	f.layer = 0
	return n, nil
}

func (fs *FS) statSilly(n *node, f *found) error {
	if err := fs.settlePlaces(n); err != nil {
		return err
	}
	err := fs.stat(n, &f.st)
	f.silly = err == nil
	if err == syscall.ESTALE {
		return syscall.ENOENT // removed meanwhile
	}
	return err
}

// renameSilly takes a name from a file and gives it a silly one: in one step it moves from
// the upper to the work directory. Nobody lists it, its directory can be removed, and
// whoever has its handle goes on.
func (in *names) renameSilly(n *node, name, silly []byte) error {
	fs := in.fs
	dir, err := fs.dirFD(fs.silly.dir, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	stored := fs.silly.stored(in.node.id, n.id, silly)
	place := []byte(stored[:len(stored)-1])
	n.addPlace(fs.silly.dir, place, 0) // before it is there, as in move
	if err := in.moveOut(name, dir.fd, cString(stored)); err != nil {
		fs.nodes.dropPlace(n, fs.silly.dir, place)
		return err
	}
	fs.silly.add(sillyName{in.node.id, string(silly)}, n)
	in.touch()
	in.relist(name, 0)
	fs.unname(n, in.node, name)
	return nil
}

// noRoom reports whether a file could not be moved to the work directory, but may be
// renamed where it is: it will be in sight, but on a full disk it has to go.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EXDEV)
}

// moveOut moves a file from the upper to the work directory. A whiteout takes its
// place in the same step where a lower layer has the name.
func (in *names) moveOut(name []byte, workfd int, to *byte) error {
	var c cName
	from := c.set(name)
	hidden, err := in.fs.showsThrough(in.node, from)
	if err != nil {
		return err
	}
	if !hidden {
		return sysRenameAt(in.dir.fd, from, workfd, to)
	}
	if err := in.markWhiteouts(); err != nil {
		return err
	}
	if err := in.fs.whiteoutAt(workfd, to); err != nil {
		return err
	}
	if err = in.fs.exchange(in.dir.fd, from, workfd, to); err == nil {
		return nil
	}
	// In several steps it can have come so far that the file is there.
	var st sysStat
	if sysStatAt(workfd, to, &st) != nil {
		return err
	}
	whiteout, e := isWhiteout(workfd, to, &st)
	switch {
	case e != nil:
		return err
	case !whiteout:
		return nil
	}
	_ = sysUnlinkAt(workfd, to, 0)
	return err
}

// reveal gives a file with a silly name one in the upper again.
func (fs *FS) reveal(c Caller, src, dst *names, n, old *node, silly, name []byte, t *found) error {
	dir, err := fs.dirFD(fs.silly.dir, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	if err := dst.hold(n); err != nil {
		return err
	}
	var cn cName
	to := cn.set(name)
	if old != nil && !t.silly && t.layer == 0 {
		fs.pinYoung(old, dst.dir.fd, to, &t.st)
	}
	if old != nil && !t.silly {
		defer fs.noteCount(old, dst.node, to, t)()
	}
	stored := fs.silly.stored(src.node.id, n.id, silly)
	fs.name(n, dst.node, name, 0)
	if err := sysRenameAt(dir.fd, cString(stored), dst.dir.fd, to); err != nil {
		fs.unname(n, dst.node, name)
		return err
	}
	fs.dropSilly(src.node.id, n, silly)
	switch {
	case t.silly:
		_ = fs.removeSilly(c, dst.node.id, old, name, t) // what is left is swept one day
	case old != nil:
		dst.lost(old, name, t)
	}
	dst.touch()
	dst.relist(name, n.id.Fileid)
	return nil
}

// dropSilly forgets a silly name that is gone.
func (fs *FS) dropSilly(dir ID, n *node, name []byte) {
	stored := fs.silly.stored(dir, n.id, name)
	fs.silly.drop(dir, name)
	fs.nodes.dropPlace(n, fs.silly.dir, []byte(stored[:len(stored)-1]))
}

// removeSilly removes a silly name: the client has closed the file. To whoever
// looks at the directory nothing changes. It is for who holds n.mu.
func (fs *FS) removeSilly(c Caller, dir ID, n *node, name []byte, f *found) error {
	if fs.readOnly {
		return syscall.EROFS
	}
	if slowToFree(&f.st) && !c.MayBlock {
		return ErrWouldBlock
	}
	work, err := fs.dirFD(fs.silly.dir, 0)
	if err != nil {
		return err
	}
	defer work.release()
	stored := cString(fs.silly.stored(dir, n.id, name))
	fs.pinYoung(n, work.fd, stored, &f.st)
	if err := sysUnlinkAt(work.fd, stored, 0); err != nil {
		return err
	}
	fs.dropSilly(dir, n, name)
	if fs.wasLast(n, f) {
		fs.forget(n)
	}
	return nil
}

// removeOrphan removes a silly name whose directory is gone: nothing else can be asked
// of the handle of such a directory. err is why it could not be used.
func (fs *FS) removeOrphan(c Caller, dir ID, name []byte, err error) error {
	if err != syscall.ESTALE {
		return err
	}
	n := fs.silly.get(dir, name)
	if n == nil {
		return err
	}
	if err := acquire(c, &n.mu); err != nil {
		return err
	}
	defer n.mu.Unlock()
	var f found
	if err := fs.statSilly(n, &f); err != nil {
		return err
	}
	return fs.removeSilly(c, dir, n, name, &f)
}

// hidBefore reports whether a file that is not to be found was given its silly name
// before: the call was made again by a client that did not get the answer.
func (fs *FS) hidBefore(from, to ID, name []byte) bool {
	return from == to && fs.silly.get(to, name) != nil
}

// loadSilly finds the files again that clients had open when the server ended.
func (fs *FS) loadSilly() error {
	if fs.silly.dir == nil {
		return nil
	}
	var err error
	if fs.silly.run, err = kernelRun(); err != nil {
		return err
	}
	dir, err := fs.dirFD(fs.silly.dir, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	return fs.listDir(dir.fd, func(dirfd int, _ uint64, _ uint8, stored []byte) error {
		return fs.loadSillyName(dirfd, stored)
	})
}

// loadSillyName takes in one file, or sweeps it. A whiteout was to change places with one
// that is still where it was.
func (fs *FS) loadSillyName(dirfd int, stored []byte) error {
	run, name, id, ok := parseSilly(string(stored))
	var c cName
	var st sysStat
	err := sysStatAt(dirfd, c.set(stored), &st)
	if err != nil || !ok {
		return err
	}
	whiteout, err := isWhiteout(dirfd, c.set(stored), &st)
	switch {
	case err != nil:
		return err
	case fs.silly.unused(run) || whiteout:
		return fs.sweepSilly(dirfd, c.set(stored))
	case run != fs.silly.run:
		return nil
	}
	n, err := fs.known(id)
	if err != nil {
		return err
	}
	if n == nil || n.typ != st.typ() {
		n, _ = fs.nodes.intern(id, st.typ(), nil, false, func() bool { return true })
	}
	n.loose.Store(fs.marked)
	n.setBehind(fs.identity(0, &st))
	n.addPlace(fs.silly.dir, stored, 0)
	fs.silly.add(name, n)
	return nil
}

func (fs *FS) sweepSilly(dirfd int, stored *byte) error {
	if fs.readOnly {
		return nil
	}
	return sysUnlinkAt(dirfd, stored, 0)
}
