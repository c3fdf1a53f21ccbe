package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/mount"
)

// ErrInUse is a directory that a server, or "nixnfsd fsck", has to itself.
var ErrInUse = errors.New("a nixnfsd uses it: end that first")

// removal deletes a directory and all beneath it. It goes by open directories, from the outermost
// on: what a symbolic link leads to is never touched, and neither is another file
// system that is mounted within.
type removal struct {
	ctx    context.Context
	device uint64
	keep   []string // names of files of the outermost directory that stay, and the directory with them
}

// removeStore deletes a directory with all that is in it, or a symbolic link, as a profile's is:
// not what that leads to.
func removeStore(ctx context.Context, path string, keep ...string) error {
	if _, err := os.Readlink(path); err == nil {
		return os.Remove(path)
	}
	return removeTree(ctx, path, keep...)
}

// removeTree deletes a directory with all that is in it, whatever the modes are. One that is
// not there is no error, nor is what is left by a removal that was ended in the middle. With
// names to keep, these files and the directory stay.
func removeTree(ctx context.Context, dir string, keep ...string) error {
	if err := nothingMounted(dir); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	r := &removal{ctx: ctx, keep: keep}
	err = r.directory(parent, filepath.Base(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// nothingMounted looks at the mount table: what is bound within is of the same device.
func nothingMounted(dir string) error {
	table, err := mount.Table()
	if err != nil {
		return err
	}
	for _, e := range table {
		if within(e.Dir, dir) {
			return fmt.Errorf("%s is mounted at %s: unmount that first", e.From, e.Dir)
		}
	}
	return nil
}

// directory deletes the directory of that name in another one.
func (r *removal) directory(parent *os.File, name string) error {
	d, err := openDir(parent, name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := r.prepare(d); err != nil {
		return err
	}
	keep := r.keep
	r.keep = nil
	if err := r.empty(d, keep); err != nil || keep != nil {
		return err
	}
	return fail("remove", d.Name(), unix.Unlinkat(int(parent.Fd()), name, unix.AT_REMOVEDIR))
}

// openDir opens a directory, also one that nobody may read; no symbolic link.
func openDir(parent *os.File, name string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	path := filepath.Join(parent.Name(), name)
	fd, err := unix.Openat(int(parent.Fd()), name, flags, 0)
	if err == unix.EACCES {
		var st unix.Stat_t
		err = unix.Fstatat(int(parent.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			err = unix.Fchmodat(int(parent.Fd()), name, 0o700, 0)
		}
		if err == nil {
			fd, err = unix.Openat(int(parent.Fd()), name, flags, 0)
		}
	}
	if err != nil {
		return nil, fail("open", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// prepare takes the outermost directory from any server, holds that the others are on its
// file system, and lets all be changed: those of a Nix store are not.
func (r *removal) prepare(d *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(d.Fd()), &st); err != nil {
		return fail("look at", d.Name(), err)
	}
	switch device := uint64(st.Dev); {
	case r.device == 0:
		r.device = device
		if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == unix.EWOULDBLOCK {
			return ErrInUse
		}
	case device != r.device:
		return fmt.Errorf("%s is on another file system: unmount that first", d.Name())
	}
	if st.Mode&0o700 == 0o700 {
		return nil
	}
	return fail("change the mode of", d.Name(), unix.Fchmod(int(d.Fd()), 0o700))
}

// empty deletes what is in a directory. It reads it again until there is nothing: not every
// file system lists all while names go.
func (r *removal) empty(d *os.File, keep []string) error {
	for {
		names, err := r.sweep(d, keep)
		if err != nil || names == 0 {
			return err
		}
		if _, err := d.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
}

// sweep goes once through a directory, and tells how many names went.
func (r *removal) sweep(d *os.File, keep []string) (gone int, err error) {
	const some = 1024
	for {
		names, err := d.Readdirnames(some)
		for _, name := range names {
			if slices.Contains(keep, name) {
				continue
			}
			if err := r.name(d, name); err != nil {
				return gone, err
			}
			gone++
		}
		if err == io.EOF {
			return gone, nil
		}
		if err != nil {
			return gone, err
		}
	}
}

// name deletes one. unlink(2) of a directory says EISDIR on Linux, and EPERM on macOS.
func (r *removal) name(d *os.File, name string) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	err := unix.Unlinkat(int(d.Fd()), name, 0)
	if err == unix.EISDIR || err == unix.EPERM {
		below := r.directory(d, name)
		if !errors.Is(below, unix.ENOTDIR) {
			return below
		}
	}
	if err == unix.ENOENT {
		return nil
	}
	return fail("remove", filepath.Join(d.Name(), name), err)
}

// fail gives an error of a system call a path.
func fail(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}
