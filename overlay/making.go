package overlay

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// making is an object that is about to be made.
type making struct {
	c         Caller
	typ, mode uint32
	set       *SetAttr // with it
	// open makes it and gives a descriptor, or -1 where that would be one call more.
	open func(dirfd int, name *byte) (fd int, err error)
	// fd and st are of what was made.
	fd int
	st sysStat
}

// create makes an object under a name that must not exist.
func (in *names) create(name []byte, m *making) error {
	m.fd = -1
	err := in.make(name, func(dirfd int, cn *byte) error {
		if dirfd == in.dir.fd && in.asksMore(m) {
			return in.makeAside(cn, m)
		}
		return in.makeAt(dirfd, cn, m)
	})
	if err != nil {
		m.drop()
	}
	return err
}

// drop closes what was made.
func (m *making) drop() {
	if m.fd >= 0 {
		unix.Close(m.fd)
	}
	m.fd = -1
}

// makeAt makes an object under its name and gives it the attributes then.
func (in *names) makeAt(dirfd int, name *byte, m *making) (err error) {
	if m.fd, err = m.open(dirfd, name); err != nil {
		return err
	}
	return in.settle(dirfd, name, m, m.c, m.set)
}

// settle gives a new object what it lacks of what was asked for.
func (in *names) settle(dirfd int, name *byte, m *making, c Caller, s *SetAttr) error {
	err := m.look(dirfd, name)
	if err == nil {
		if set, ok := unsettled(c, m.mode, s, &m.st, &in.pre); ok {
			if err = in.give(dirfd, name, m, &set); err == nil {
				err = m.look(dirfd, name)
			}
		}
	}
	if err != nil {
		_ = removeAt(dirfd, name)
	}
	return err
}

func (m *making) look(dirfd int, name *byte) error {
	if m.fd >= 0 {
		return sysFstat(m.fd, &m.st)
	}
	return sysStatAt(dirfd, name, &m.st)
}

// give sets a new object's attributes. It is opened for that where it was not yet.
func (in *names) give(dirfd int, name *byte, m *making, set *SetAttr) (err error) {
	t := target{fd: m.fd, dirfd: dirfd, name: name}
	if m.fd < 0 {
		if t, err = in.fs.hold(dirfd, name, new(sysStat)); err != nil {
			return err
		}
		defer t.drop()
	}
	if set.SetSize {
		if err := sysFtruncate(t.fd, set.Size); err != nil {
			return err
		}
	}
	return applyAttr(t, set, &m.st)
}

// asksMore reports whether an object is to have what making it does not give. Then it
// gets that before it has its name: should the process end in between, it is not there,
// and an exclusive CREATE that is sent again does not meet a file that is not its own.
// In a directory that hands on its group it has to be made in place.
func (in *names) asksMore(m *making) bool {
	fs, s := in.fs, m.set
	return in.pre.mode&0o2000 == 0 && (bindsSockets && m.typ == ModeSocket || s.SetSize && s.Size != 0 && m.typ == ModeRegular ||
		s.SetAtime != DontChange || s.SetMtime != DontChange || m.mode&0o6000 != 0 ||
		s.SetUID && s.UID != fs.uid || s.SetGID && s.GID != fs.gid ||
		!s.SetGID && m.c.UID == fs.uid && m.c.GID != fs.gid && m.c.GID != noGroup)
}

// makeAside makes an object in the work directory and moves it to its name. What it got
// there without being asked is foreseen and looked at only in the end: so it costs no call
// more than to make it in place. A file system that does not rename without replacing
// makes do with that.
func (in *names) makeAside(name *byte, m *making) error {
	work, err := in.fs.dirFD(in.fs.work, 0)
	if err != nil {
		return err
	}
	defer work.release()
	tmp := cString(in.fs.tmpName())
	if m.fd, err = m.open(work.fd, tmp); err != nil {
		return err
	}
	m.st = sysStat{mode: m.typ | m.mode, uid: in.fs.uid, gid: in.fs.gid}
	set, _ := unsettled(m.c, m.mode, m.set, &m.st, &in.pre)
	set.SetMode = m.mode&0o6000 != 0 && m.typ != ModeSymlink
	if err = in.give(work.fd, tmp, m, &set); err == nil { // a directory that gets another parent has to be writable
		move := func() error { return sysRenameNewAt(work.fd, tmp, in.dir.fd, name) }
		err = in.fs.ifAllowedTo(work.fd, tmp, in.dir.fd, name, 0o700, move)
	}
	if err == nil {
		c := m.c
		if m.set.SetGID {
			c.GID = noGroup
		}
		return in.settle(in.dir.fd, name, m, c, new(SetAttr))
	}
	m.drop()
	_ = removeAt(work.fd, tmp)
	if err == syscall.EINVAL || err == syscall.ENOTSUP || err == syscall.ENOSYS {
		return in.makeAt(in.dir.fd, name, m)
	}
	return err
}
