package overlay

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Layer is one directory of the overlay and how it is.
type Layer struct {
	Path       string         `json:"path"`
	Kind       string         `json:"kind"`       // "upper" or "lower"
	FileSystem string         `json:"fileSystem"` // its type, or what the system calls it
	TotalBytes uint64         `json:"totalBytes"` // of the file system
	AvailBytes uint64         `json:"availBytes"` // of the file system, to an ordinary user
	Problems   []LayerProblem `json:"problems"`
}

// LayerProblem is one thing that is wrong with a layer, and how to mend it.
type LayerProblem struct {
	Name string `json:"name"` // one of those below
	What string `json:"what"`
	Mend string `json:"mend"`
}

// The names of layers' problems. They stay as they are: programs look for them.
const (
	LayerMoved      = "layer-moved"
	LayerUnreadable = "layer-unreadable"
	LayerWasUpper   = "layer-was-upper"
	UpperUnwritable = "upper-unwritable"
	UpperFull       = "upper-full"
)

// Layers looks at the layers, the upper first. A layer goes on being the directory that
// it was when the overlay was opened, also when its path leads elsewhere since.
func (fs *FS) Layers() []Layer {
	parts := fs.root.dir.stack.Load().parts
	layers := make([]Layer, len(fs.layers))
	for i := range layers {
		l := &layers[i]
		*l = Layer{Path: fs.layers[i].path, Kind: "lower", Problems: []LayerProblem{}}
		if i == 0 {
			l.Kind = "upper"
		}
		if dir := parts[i].dir.acquire(); dir != nil {
			l.examine(fs, dir.fd)
			dir.release()
		}
	}
	return layers
}

const (
	mendRestart = "put it back, or start the server again with the directories that there are now"
	mendFull    = "make room on its file system, or have the quota raised"
	mendDisk    = "see what the system's log says of its disk, have the file system checked and mounted again, and start the server again"
	mendMarks   = "serve the upper that it is as an upper, or copy what it shows"
)

// examine looks at the directory that is served, and at what its path leads to.
func (l *Layer) examine(fs *FS, fd int) {
	var here, there sysStat
	if err := sysFstat(fd, &here); err != nil {
		l.problem(LayerUnreadable, mendRestart, "cannot be examined: %v", err)
		return
	}
	l.space(fd)
	path := append([]byte(l.Path), 0)
	switch err := sysStatAt(unix.AT_FDCWD, &path[0], &there); {
	case here.nlink == 0:
		l.problem(LayerMoved, mendRestart, "was removed: nothing is in it any more")
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		l.problem(LayerMoved, mendRestart, "is not at its path any more: the directory that was there is still served")
	case err != nil:
		l.problem(LayerMoved, mendRestart, "cannot be reached by its path: %v", err)
	case there.dev != here.dev || there.ino != here.ino:
		l.problem(LayerMoved, mendRestart, "another directory is at its path now: the one that was there is still served")
	}
	l.rights(fs, fd)
}

// rights finds out whether the server may do what it has to, and whether it can.
func (l *Layer) rights(fs *FS, fd int) {
	mode, name, need := uint32(unix.R_OK|unix.X_OK), LayerUnreadable, "cannot be read"
	writes := l.Kind == "upper" && !fs.readOnly
	if writes {
		mode, name, need = mode|unix.W_OK, UpperUnwritable, "cannot be written to"
	}
	if err := unix.Faccessat(fd, ".", mode, 0); err != nil && err != syscall.ENOENT {
		l.problem(name, "give its owner the right, or choose a directory of yours", "%s: %v", need, err)
	} else if writes {
		l.write(fs)
	}
	var b [2]byte
	if _, err := getMark(fd, &dotName[0], markLayered, b[:]); err == nil && l.Kind == "lower" {
		l.problem(LayerWasUpper, mendMarks, "was itself served as an upper over other directories, which are missing beneath it here")
	}
}

// write makes an empty file beside the upper: that a quota is used up, or that its file system
// turned read-only upon an error, shows in no other way. A full disk can have room for that.
func (l *Layer) write(fs *FS) {
	err := fs.tryWork()
	if err == nil && l.AvailBytes == 0 && l.TotalBytes > 0 {
		err = syscall.ENOSPC
	}
	switch {
	case err == nil:
	case isFull(err):
		l.problem(UpperFull, mendFull, "cannot be written to: %v", err)
	default:
		l.problem(UpperUnwritable, mendDisk, "cannot be written to: %v", err)
	}
}

func (fs *FS) tryWork() error {
	work, err := fs.dirFD(fs.work, 0)
	if err != nil {
		return err
	}
	defer work.release()
	name := cString(fs.tmpName())
	if err := fs.makeEmpty(work.fd, name); err != nil {
		return err
	}
	return sysUnlinkAt(work.fd, name, 0)
}

// isFull reports whether there is no room, or none for the user.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func (l *Layer) problem(name, mend, format string, args ...any) {
	l.Problems = append(l.Problems, LayerProblem{Name: name, What: fmt.Sprintf(format, args...), Mend: mend})
}

func (l *Layer) space(fd int) {
	var s FSStat
	if err := sysStatfs(fd, &s); err != nil {
		l.problem(LayerUnreadable, mendRestart, "its file system does not answer: %v", err)
		return
	}
	l.TotalBytes, l.AvailBytes, l.FileSystem = s.TotalBytes, s.AvailBytes, fsType(fd)
}
