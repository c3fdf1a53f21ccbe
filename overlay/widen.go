package overlay

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// allowed calls f while the owner has more rights on an object of the upper than
// its mode gives. Calls for a directory come before those for what is inside.
func (fs *FS) allowed(dirfd int, name *byte, more uint32, f func() error) error {
	return fs.allowedTo(dirfd, name, dirfd, name, more, f)
}

// allowedTo is allowed where f moves the object to the name to in the directory todir.
func (fs *FS) allowedTo(dirfd int, name *byte, todir int, to *byte, more uint32, f func() error) error {
	if name == &dotName[0] { // to look "." up would take a right too
		return fs.allowedOn(dirTarget(dirfd), todir, to, more, f)
	}
	return fs.withHeld(dirfd, name, func(o target, _ *sysStat) error { return fs.allowedOn(o, todir, to, more, f) })
}

// allowedOn is allowedTo for an object that is open.
func (fs *FS) allowedOn(t target, todir int, to *byte, more uint32, f func() error) error {
	var st sysStat
	if err := sysFstat(t.fd, &st); err != nil {
		return err
	}
	defer fs.modes.lock(st.ino)()
	if err := sysFstat(t.fd, &st); err != nil {
		return err
	}
	return fs.widen(t, &st, todir, to, more, f)
}

// widen is for who holds the object's mode lock.
func (fs *FS) widen(t target, st *sysStat, todir int, to *byte, more uint32, f func() error) error {
	note := modeNote{st.ino, st.mode & 0o7777, st.mode&0o7777 | more}
	note.make(fs, todir, to)
	if err := t.chmod(note.wide); err != nil {
		note.remove(fs)
		return syscall.EACCES // another's: the answer that was met first
	}
	err := f()
	back := t.chmod(note.was)
	if back == nil {
		note.remove(fs)
	}
	if err == nil {
		err = back
	}
	return err
}

// ifAllowed calls f, and once more with more rights when they are missing.
func (fs *FS) ifAllowed(dirfd int, name *byte, more uint32, f func() error) error {
	return fs.ifAllowedTo(dirfd, name, dirfd, name, more, f)
}

// ifAllowedTo is ifAllowed where f moves the object to the name to in the directory todir.
func (fs *FS) ifAllowedTo(dirfd int, name *byte, todir int, to *byte, more uint32, f func() error) error {
	err := f()
	if err == syscall.EACCES {
		err = fs.allowedTo(dirfd, name, todir, to, more, f)
	}
	return err
}

// openHeld opens what has a name in the upper with flags that ask for no more than to hold it:
// where that takes a right that the mode does not give, the mode is widened for that moment.
func (fs *FS) openHeld(dirfd int, name *byte, flags int) (int, error) {
	fd, err := fs.openAt(dirfd, name, flags, 0)
	if !holdingReads || err != syscall.EACCES || fs.readOnly {
		return fd, err
	}
	var st sysStat
	if err := sysStatAt(dirfd, name, &st); err != nil {
		return -1, err
	}
	defer fs.modes.lock(st.ino)()
	if err := sysStatAt(dirfd, name, &st); err != nil {
		return -1, err
	}
	return fs.openWidened(dirfd, name, flags, &st)
}

// openWidened is for who holds the object's mode lock. The mode is widened by the name, and put
// back by the descriptor.
func (fs *FS) openWidened(dirfd int, name *byte, flags int, st *sysStat) (int, error) {
	note := modeNote{st.ino, st.mode & 0o7777, st.mode&0o7777 | 0o400}
	note.make(fs, dirfd, name)
	if sysChmodAt(dirfd, name, note.wide) != nil {
		note.remove(fs)
		return -1, syscall.EACCES // another's
	}
	fd, err := fs.openAt(dirfd, name, flags, 0)
	if err != nil {
		if sysChmodAt(dirfd, name, note.was) == nil {
			note.remove(fs)
		}
		return -1, err
	}
	var now sysStat
	if err = sysFstat(fd, &now); err == nil && now.ino != st.ino {
		err = syscall.ESTALE // the name is another object's by now
	}
	if err == nil {
		err = target{fd: fd}.chmod(note.was)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	note.remove(fs)
	return fd, nil
}
