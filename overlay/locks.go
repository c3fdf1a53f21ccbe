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
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("keep the lock of %s: %w", f.Name(), err), closeAll(locks))
		}
		locks = append(locks, os.NewFile(uintptr(fd), f.Name()))
	}
	return locks, nil
}

// inherit gives the predecessor's lock on the directory f in place of f, where there is one.
func (fs *FS) inherit(f *os.File) *os.File {
	i := slices.IndexFunc(fs.inherited, func(l *os.File) bool { return sameFile(l, f) })
	if i < 0 {
		return f
	}
	lock := fs.inherited[i]
	fs.inherited = slices.Delete(fs.inherited, i, i+1)
	f.Close()
	return lock
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
