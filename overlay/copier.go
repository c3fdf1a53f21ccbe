package overlay

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// copier copies one object from a lower layer to the work directory.
type copier struct {
	fs   *FS
	from int
	name *byte
	work int
	tmp  *byte
	st   *sysStat
}

// copy reports whether the copy carries the object's ID; only regular files and
// directories can on Linux.
func (c *copier) copy(id ID) (marked bool, err error) {
	switch c.st.typ() {
	case ModeRegular:
		err = c.file()
	case ModeDir:
		err = c.dir()
	case ModeSymlink:
		err = c.symlink()
	default:
		err = sysMknodAt(c.work, c.tmp, c.st.typ()|0o600, c.st.major, c.st.minor)
	}
	if err != nil {
		return false, err
	}
	err = setMark(c.work, c.tmp, markOrigin, encodeOrigin(id))
	if err != nil && !noMark(err) {
		return false, err
	}
	return err == nil, c.attributes()
}

// file copies the data, sharing blocks where the file systems can, and puts it
// on disk before the name can appear.
func (c *copier) file() error {
	from, err := c.fs.openAt(c.from, c.name, openRead, 0)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := c.fs.openAt(c.work, c.tmp, openMake, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	if err := copyData(from, to, int64(c.st.size)); err != nil {
		return err
	}
	if err := c.unchanged(from); err != nil {
		return err
	}
	if err := copyXattrs(from, to); err != nil {
		return err
	}
	if err := c.unchanged(from); err != nil {
		return err
	}
	return sysFsync(to)
}

// unchanged gives ESTALE when a lower file is not what it was when its copy began:
// the copy could hold bytes of both.
func (c *copier) unchanged(from int) error {
	var now sysStat
	if err := sysFstat(from, &now); err != nil {
		return err
	}
	if now.dev != c.st.dev || now.ino != c.st.ino || now.size != c.st.size || now.mtime != c.st.mtime || now.ctime != c.st.ctime {
		return syscall.ESTALE
	}
	return nil
}

// dir makes a directory with the original's extended attributes, where it may be read.
func (c *copier) dir() error {
	if err := sysMkdirAt(c.work, c.tmp, 0o700); err != nil {
		return err
	}
	from, err := c.fs.openAt(c.from, c.name, openList, 0)
	if err == syscall.EACCES {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := c.fs.openAt(c.work, c.tmp, openList, 0)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	return copyXattrs(from, to)
}

func (c *copier) symlink() error {
	var b [maxTarget + 1]byte
	n, err := sysReadlinkAt(c.from, c.name, b[:maxTarget])
	if err != nil {
		return err
	}
	b[n] = 0
	return sysSymlinkAt(&b[0], c.work, c.tmp)
}

// attributes gives the copy the original's owner, mode and times. A lower file
// of another owner becomes the server's: only root could keep it.
func (c *copier) attributes() error {
	var now sysStat
	t, err := c.fs.hold(c.work, c.tmp, &now)
	if err != nil {
		return err
	}
	defer t.drop()
	if now.uid != c.st.uid || now.gid != c.st.gid {
		if err := t.chown(int(c.st.uid), int(c.st.gid)); err != nil && err != syscall.EPERM {
			return err
		}
	}
	if c.st.typ() != ModeSymlink {
		if err := t.chmod(c.st.mode & 0o7777); err != nil {
			return err
		}
	}
	return t.setTimes(c.st)
}
