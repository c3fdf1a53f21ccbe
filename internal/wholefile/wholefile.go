// Package wholefile replaces files at once and whole, by one process at a time.
//
// What is half-written is beside the file under a name that is always the same, and so is the lock: where a
// process was killed the next one that holds the file removes what it has left.
package wholefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long Hold waits: more than anybody takes to write a file.
const patience = time.Minute

// Held is a file that this process has for itself, among those that hold it.
type Held struct{ lock *os.File }

// Hold waits until no other process has a file, which need not be there, and removes what one that was
// killed has left. The directory has to be there.
func Hold(file string) (*Held, error) {
	const pause = 10 * time.Millisecond
	for end := time.Now().Add(patience); ; time.Sleep(pause) {
		lock, err := try(LockName(file))
		switch {
		case lock != nil:
			h := &Held{lock}
			if err := Sweep(file); err != nil {
				h.Release()
				return nil, err
			}
			return h, nil
		case err != nil && err != unix.EWOULDBLOCK:
			return nil, fmt.Errorf("lock %s: %w", file, err)
		case time.Now().After(end):
			return nil, fmt.Errorf("another nixnfsd changes %s: wait for its end", file)
		}
	}
}

// try takes the lock. It is no lock any more where somebody has released it meanwhile: neither lock nor
// error tells that then.
func try(name string) (*os.File, error) {
	lock, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil && isAt(lock, name) {
		return lock, nil
	}
	lock.Close()
	return nil, err
}

// isAt tells whether an open file has a name.
func isAt(f *os.File, name string) bool {
	have, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(name)
	return err == nil && os.SameFile(have, there)
}

// Release lets others have the file.
func (h *Held) Release() {
	os.Remove(h.lock.Name()) // first: nobody may take a lock that goes
	h.lock.Close()
}

// LockName is the lock of a file: while one process holds it, or where one was killed.
func LockName(file string) string { return beside(file, "lock") }

// PartName is what of a file is written, until it is whole.
func PartName(file string) string { return beside(file, "part") }

func beside(file, what string) string {
	dir, name := filepath.Split(file)
	return dir + "." + name + ".nixnfsd-" + what
}

// Left tells whether a process that was killed has left something beside a file.
func Left(file string) bool {
	for _, name := range []string{LockName(file), PartName(file)} {
		if _, err := os.Lstat(name); err == nil {
			return true
		}
	}
	return false
}

// Sweep removes what is half-written of a file that nobody else writes.
func Sweep(file string) error {
	if err := os.Remove(PartName(file)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Replace writes a file, which appears at once, whole and on the disk, whatever the umask is. Nobody else
// may write it meanwhile: hold it, or what stands for it.
func Replace(file string, mode fs.FileMode, from io.Reader) error {
	if err := Sweep(file); err != nil {
		return err
	}
	part, err := os.OpenFile(PartName(file), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(part, from)
	if err == nil {
		err = part.Chmod(mode)
	}
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), file)
	}
	if err != nil {
		return errors.Join(err, Sweep(file))
	}
	return syncDir(filepath.Dir(file))
}

// syncDir has the names in a directory be on the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
