package overlay

import (
	"bytes"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// longNamesDir is the directory in an escaped layer's root that tells what long stored
// names stand for: a file for each, called by the hash, holds the name. It is called
// as no name is stored, so it does not show.
const longNamesDir = "%~names\x00"

// maxLongNames bounds what is remembered of the dictionaries.
const maxLongNames = 1 << 12

// longNames remembers what long stored names stand for.
type longNames struct {
	mu   sync.Mutex
	m    map[string][]byte
	kept map[string]struct{} // in the upper's dictionary
}

func (l *longNames) get(stored []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.m[string(stored)]
}

func (l *longNames) remember(stored, name []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil || len(l.m) >= maxLongNames {
		l.m = make(map[string][]byte)
	}
	if l.m[string(stored)] == nil {
		l.m[string(stored)] = bytes.Clone(name)
	}
}

func (l *longNames) isKept(stored []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.kept[string(stored)]
	return ok
}

func (l *longNames) keep(stored []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept == nil || len(l.kept) >= maxLongNames {
		l.kept = make(map[string]struct{})
	}
	l.kept[string(stored)] = struct{}{}
}

// longNameOf gives what a long stored name stands for, by any layer's dictionary: its hash
// proves that it is right. A lower layer's can be anybody's, and must not make a path of it.
// nil: none tells; the error is of one that could not be asked.
func (fs *FS) longNameOf(stored []byte) (name []byte, err error) {
	if name := fs.long.get(stored); name != nil {
		return name, nil
	}
	s := fs.root.dir.stack.Load()
	for i := range s.parts {
		if !fs.layers[s.parts[i].layer].escaped {
			continue
		}
		name, e := fs.readLongName(&s.parts[i], stored)
		if e == nil && canBeShown(name) && bytes.Equal(storedName(name), stored) {
			fs.long.remember(stored, name)
			return name, nil
		}
		if err == nil && !noEntry(e) {
			err = e
		}
	}
	return nil, err
}

// noEntry reports whether the error only says that a dictionary has no such entry, or has what
// is none under its name.
func noEntry(err error) bool {
	switch err {
	case nil, syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.EISDIR, syscall.ESPIPE, syscall.ENXIO, syscall.EOPNOTSUPP:
		return true
	}
	return false
}

func (fs *FS) readLongName(root *stackPart, stored []byte) ([]byte, error) {
	dir, err := fs.openLongNames(root)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	fd, err := fs.openAt(dir, cBytes(stored[2:]), openRead, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := make([]byte, maxName+1)
	n, err := sysPread(fd, b, 0)
	return b[:max(n, 0)], err
}

func (fs *FS) openLongNames(root *stackPart) (int, error) {
	top, err := fs.partDir(fs.root, root)
	if err != nil {
		return -1, err
	}
	defer top.release()
	return fs.openAt(top.fd, cString(longNamesDir), openList, 0)
}

// keepLongName writes a name into the upper's dictionary.
func (fs *FS) keepLongName(stored, name []byte) error {
	if fs.long.isKept(stored) {
		return nil
	}
	dir, err := fs.makeLongNames()
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var st sysStat
	at := cBytes(stored[2:])
	if err := sysStatAt(dir, at, &st); err == syscall.ENOENT {
		err = fs.writeLongName(dir, at, name)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	fs.long.keep(stored)
	return nil
}

// keepCopiedName keeps what a name stands for that is about to be made in the upper because
// a lower layer has it.
func (fs *FS) keepCopiedName(stored *byte) error {
	if !fs.escaped {
		return nil
	}
	s := []byte(goString(stored))
	if !isLongName(s) {
		return nil
	}
	name, err := fs.longNameOf(s)
	if err == nil && name == nil {
		err = syscall.EIO
	}
	if err != nil {
		return err
	}
	return fs.keepLongName(s, name)
}

// makeLongNames opens the upper's dictionary. It is made when it is first needed, and the
// root's times do not tell.
func (fs *FS) makeLongNames() (int, error) {
	root := &fs.root.dir.stack.Load().parts[0]
	fd, err := fs.openLongNames(root)
	if err != syscall.ENOENT {
		return fd, err
	}
	top, err := fs.partDir(fs.root, root)
	if err != nil {
		return -1, err
	}
	defer top.release()
	var st sysStat
	if err := sysFstat(top.fd, &st); err != nil {
		return -1, err
	}
	err = fs.ifAllowed(top.fd, &dotName[0], 0o700, func() error { return sysMkdirAt(top.fd, cString(longNamesDir), 0o755) })
	if err != nil && err != syscall.EEXIST {
		return -1, err
	}
	if err := dirTarget(top.fd).setTimes(&st); err != nil {
		return -1, err
	}
	return fs.openLongNames(root)
}

// writeLongName makes an entry of the dictionary: whole, and on disk before the name is
// used.
func (fs *FS) writeLongName(dir int, at *byte, name []byte) error {
	work, err := fs.dirFD(fs.work, 0)
	if err != nil {
		return err
	}
	defer work.release()
	tmp := cString(fs.tmpName())
	fd, err := fs.openAt(work.fd, tmp, openMake, 0o644)
	if err != nil {
		return err
	}
	err = sysPwrite(fd, name, 0)
	if err == nil {
		err = sysFsync(fd)
	}
	unix.Close(fd)
	if err == nil {
		err = sysRenameAt(work.fd, tmp, dir, at)
	}
	if err != nil {
		_ = sysUnlinkAt(work.fd, tmp, 0)
		return err
	}
	if err := sysFsync(dir); err != syscall.EINVAL && err != syscall.ENOTSUP { // not every file system syncs directories
		return err
	}
	return nil
}

// findLongName looks for the name with a stored name in a directory that is not escaped;
// nil: it is not there.
func (fs *FS) findLongName(dirfd int, stored []byte) (name []byte, err error) {
	err = fs.listDir(dirfd, func(_ int, _ uint64, _ uint8, disk []byte) error {
		if s := storedName(disk); bytes.Equal(s, stored) {
			name = bytes.Clone(disk)
			fs.long.remember(stored, name)
		}
		return nil
	})
	return name, err
}
