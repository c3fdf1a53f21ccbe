package overlay

import (
	"bytes"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// markHidden is on a directory of the upper while names in it change that must not
// show what lower layers have under them: it holds those names, each with a NUL behind it.
const markHidden = ownPrefix + "hidden"

// exchange moves an object to a name that is taken, by a whiteout or by an object that is
// to go, and leaves that under the old name: both in the upper or the work directory, in one
// step where the file system can. Where it cannot (HFS+ under Linux) it takes several: the
// directories' marks say which names are hidden meanwhile, and what was to go is gone.
// Should the process end in between, the marks are found when the directories are looked
// at next; a client that looks a name up in that moment can see what a lower layer has.
func (fs *FS) exchange(fd int, name *byte, tofd int, to *byte) error {
	if !fs.stepwise {
		return sysExchangeAt(fd, name, tofd, to)
	}
	fs.swapping.Lock()
	defer fs.swapping.Unlock()
	if err := markBothHidden(fd, name, tofd, to); err != nil {
		return err
	}
	err := putOver(fd, name, tofd, to)
	return errors.Join(err, fs.settleHidden(fd), fs.settleHidden(tofd))
}

func markBothHidden(fd int, name *byte, tofd int, to *byte) error {
	from, onto := goString(name)+"\x00", goString(to)+"\x00"
	if fd == tofd {
		return setMark(fd, &dotName[0], markHidden, []byte(from+onto))
	}
	if err := setMark(fd, &dotName[0], markHidden, []byte(from)); err != nil {
		return err
	}
	return setMark(tofd, &dotName[0], markHidden, []byte(onto))
}

// putOver renames an object over another; a directory goes over a file when that is gone.
func putOver(fd int, name *byte, tofd int, to *byte) error {
	var st, was sysStat
	if err := sysStatAt(fd, name, &st); err != nil {
		return err
	}
	if err := sysStatAt(tofd, to, &was); err != nil {
		return err
	}
	if st.isDir() && !was.isDir() {
		if err := sysUnlinkAt(tofd, to, 0); err != nil {
			return err
		}
	}
	return sysRenameAt(fd, name, tofd, to)
}

// settleHidden puts whiteouts where names are missing that a directory's mark hides, and
// takes the mark off.
func (fs *FS) settleHidden(dirfd int) error {
	var b [2 * (maxName + 1)]byte
	n, err := getMark(dirfd, &dotName[0], markHidden, b[:])
	if err != nil {
		if noMark(err) {
			err = nil
		}
		return err
	}
	for _, name := range bytes.SplitAfter(b[:n], []byte{0}) {
		if len(name) < 2 {
			continue
		}
		if err := fs.hideMissing(dirfd, &name[0]); err != nil {
			return err
		}
	}
	return dropMark(dirfd, &dotName[0], markHidden)
}

// hideMissing puts a whiteout under a name that stands for nothing.
func (fs *FS) hideMissing(dirfd int, name *byte) error {
	var st sysStat
	if err := sysStatAt(dirfd, name, &st); err != syscall.ENOENT {
		return err
	}
	return fs.whiteoutAt(dirfd, name)
}

// finishExchange takes the remaining steps of an exchange in a directory of the upper that
// the last run was cut short in.
func (fs *FS) finishExchange(o target) error {
	var b [2 * (maxName + 1)]byte
	if _, ok, err := fs.readMark(0, o, markHidden, b[:]); err != nil || !ok {
		return err
	}
	dir, err := fs.openAt(o.dirfd, o.name, openDir, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	fs.swapping.Lock()
	defer fs.swapping.Unlock()
	return fs.ifAllowed(dir, &dotName[0], 0o700, func() error { return fs.settleHidden(dir) })
}

// tryExchange finds out whether the upper's file system exchanges names in one step. Those
// of one file do not tell.
func (fs *FS) tryExchange(dirfd int, name *byte) error {
	other := cString(fs.tmpName())
	if err := fs.makeEmpty(dirfd, other); err != nil {
		return err
	}
	defer sysUnlinkAt(dirfd, other, 0)
	err := sysExchangeAt(dirfd, name, dirfd, other)
	fs.stepwise = errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS)
	return nil
}
