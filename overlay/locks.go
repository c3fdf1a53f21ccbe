package overlay

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Locks gives descriptors that keep the locks of fs's directories beyond Close, for the
// Options of the FS that follows.
func (fs *FS) Locks() ([]*os.File, error) {
	var locks []*os.File
	for _, f := range fs.locks {
		lock, err := dupLock(f)
		if err != nil {
			return nil, errors.Join(err, closeAll(locks))
		}
		locks = append(locks, lock)
	}
	return locks, nil
}

// inherit gives the predecessor's lock on the directory f in place of f, where there is one.
func (fs *FS) inherit(f *os.File) (*os.File, error) {
	i := slices.IndexFunc(fs.inherited, func(l *os.File) bool { return sameFile(l, f) })
	if i < 0 {
		return f, nil
	}
	f.Close()
	return dupLock(fs.inherited[i])
}

// dupLock gives another descriptor of a lock: all of them have to be closed to give it up.
func dupLock(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("keep the lock of %s: %w", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func sameFile(a, b *os.File) bool {
	x, err := a.Stat()
	y, err2 := b.Stat()
	return err == nil && err2 == nil && os.SameFile(x, y)
}

func closeAll(files []*os.File) (err error) {
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}
