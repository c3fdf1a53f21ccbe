package overlay

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// modeNote says which mode to put back, should the process end while an object's is
// widened. It is a symbolic link in the work directory, made and removed in one step: its
// name tells the inode number and both modes, and it leads to where the object is.
type modeNote struct {
	ino       uint64
	was, wide uint32
}

const (
	notePrefix = "mode-"
	noteFormat = notePrefix + "%x-%o-%o"
)

func (m modeNote) name() string { return fmt.Sprintf(noteFormat, m.ino, m.was, m.wide) }

func parseModeNote(name string) (m modeNote, ok bool) {
	_, err := fmt.Sscanf(name, noteFormat, &m.ino, &m.was, &m.wide)
	return m, err == nil && m.name() == name
}

// make notes a mode; name in the directory dirfd is where the object is or is about to
// be moved. A note that cannot be made, on a full disk, is not worth an error.
func (m modeNote) make(fs *FS, dirfd int, name *byte) {
	path, err := pathOf(dirfd)
	if err != nil || fs.work == nil {
		return
	}
	if name != &dotName[0] {
		path += "/" + goString(name)
	}
	if work, err := fs.dirFD(fs.work, 0); err == nil {
		_ = sysSymlinkAt(cString(path+"\x00"), work.fd, cString(m.name()+"\x00"))
		work.release()
	}
}

func (m modeNote) remove(fs *FS) {
	if fs.work == nil {
		return
	}
	if work, err := fs.dirFD(fs.work, 0); err == nil {
		_ = sysUnlinkAt(work.fd, cString(m.name()+"\x00"), 0)
		work.release()
	}
}

// mendModes puts modes back that were widened when the process ended: of what lies in
// a directory before the directory's own, which may be needed to get there. What cannot
// be put back now stays noted.
func mendModes(work string, names []string) {
	paths := make(map[string]string)
	for _, name := range names {
		if path, err := os.Readlink(filepath.Join(work, name)); err == nil {
			paths[name] = path
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(len(paths[b]), len(paths[a])) })
	for _, name := range names {
		m, ok := parseModeNote(name)
		if ok && m.putBack(paths[name]) == nil {
			_ = os.Remove(filepath.Join(work, name))
		}
	}
}

func isModeNote(name string) bool { return strings.HasPrefix(name, notePrefix) }

// putBack sets the mode from before, if it is still the widened one. An object that
// is not there any more needs nothing.
func (m modeNote) putBack(path string) error {
	fd, err := sysOpenAt(unix.AT_FDCWD, cString(path+"\x00"), openPin, 0)
	if err == unix.ENOENT || err == unix.ENOTDIR || err == unix.ELOOP {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st sysStat
	if err := sysFstat(fd, &st); err != nil || st.ino != m.ino || st.mode&0o7777 != m.wide {
		return err
	}
	return target{fd: fd, path: true, dirfd: unix.AT_FDCWD, name: cString(path + "\x00")}.chmod(m.was)
}
