package storeimport

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// errInUse is what is refused.
var errInUse = errors.New("it is in use: end Nix's programs and its daemon first")

// locked keeps Nix out of a store, as long as its files are open.
type locked []*os.File

// lock takes the locks that Nix's programs hold while they use a store (libstore, local-store.cc and
// gc.cc), as far as this user may open them, and looks for SQLite's of whoever uses the database.
func lock(from string) (held locked, err error) {
	for _, name := range []string{"db/big-lock", "gc.lock"} {
		f, err := openFile(filepath.Join(from, "var/nix", name))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err == nil {
			held = append(held, f)
			if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
				err = fmt.Errorf("lock %s: %w: %w", f.Name(), errInUse, err)
			}
		}
		if err != nil {
			held.unlock()
			return nil, err
		}
	}
	for _, suffix := range []string{"", "-shm"} {
		if err := unlocked(filepath.Join(from, "var/nix/db/db.sqlite"+suffix)); err != nil {
			held.unlock()
			return nil, err
		}
	}
	return held, nil
}

func (l locked) unlock() {
	for _, f := range l {
		f.Close()
	}
}

// openFile is os.Open, but for what it would wait at, such as a pipe.
func openFile(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", file)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// unlocked refuses a file that another process holds a POSIX lock on, as SQLite does on a database that it reads or
// writes, and on its shared memory as long as it is open.
func unlocked(file string) error {
	f, err := openFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &l); err != nil {
		return fmt.Errorf("look for locks on %s: %w", file, err)
	}
	if l.Type != unix.F_UNLCK {
		return fmt.Errorf("%s: %w (process %d)", file, errInUse, l.Pid)
	}
	return nil
}
