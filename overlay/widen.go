package overlay

import "syscall"

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
	return fs.withPin(dirfd, name, func(o target, _ *sysStat) error { return fs.allowedOn(o, todir, to, more, f) })
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
