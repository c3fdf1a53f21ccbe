package overlay

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The names of an intent and its whiteout in the work directory. There is one at a
// time: FS.moving is held.
const (
	intentName   = "rename"
	intentHiding = "rename-whiteout"
)

func isIntent(name string) bool { return name == intentName || name == intentHiding }

// intent is a rename that takes two steps: from a name that lower layers have, which a
// whiteout has to hide, to one that is taken, which is not to be lost. It is written down
// before the first. If the process ends between the two, the next start takes the second.
type intent struct {
	// moved and left are the files that the names to and from stand for after the
	// first step.
	moved, left ID
	from, to    string // paths from the root
}

func (i *intent) encode() []byte {
	head := fmt.Sprintf("%x %x %x %x", i.moved.Fileid, i.moved.Gen, i.left.Fileid, i.left.Gen)
	return []byte(strings.Join([]string{head, i.from, i.to, ""}, "\x00"))
}

// decodeIntent gives ok only for a whole one.
func decodeIntent(b []byte) (i intent, ok bool) {
	parts := bytes.Split(b, []byte{0})
	if len(parts) != 4 || len(parts[3]) != 0 {
		return i, false
	}
	_, err := fmt.Sscanf(string(parts[0]), "%x %x %x %x", &i.moved.Fileid, &i.moved.Gen, &i.left.Fileid, &i.left.Gen)
	i.from, i.to = string(parts[1]), string(parts[2])
	return i, err == nil && bytes.Equal(i.encode(), b)
}

// displace moves n from a name that lower layers have onto that of an object, of which t
// tells. What goes wrong leaves both where they were.
func (in *names) displace(n *node, from *byte, dst *names, to *byte, t *found) error {
	fs := in.fs
	if err := in.markWhiteouts(); err != nil {
		return err
	}
	work, err := fs.dirFD(fs.work, 0)
	if err != nil {
		return err
	}
	defer work.release()
	i := intent{moved: n.behind(), left: n.behind()}
	cover, uncover := in.linkOver(work.fd, from, dst, to)
	if t.layer == 0 {
		i.left = fs.identity(0, &t.st)
		cover, uncover = in.exchange(from, dst, to)
	}
	defer fs.dropIntent(work.fd)
	if err := in.writeIntent(work.fd, &i, from, dst, to); err != nil {
		return err
	}
	if err := cover(); err != nil {
		return err
	}
	if err := fs.hideAt(work.fd, cString(intentHiding+"\x00"), in.dir.fd, from); err != nil {
		uncover()
		return err
	}
	return nil
}

// exchange lets two objects of the upper change places. A directory that gets another
// parent has to be writable.
func (in *names) exchange(from *byte, dst *names, to *byte) (do func() error, undo func()) {
	swap := func() error { return in.fs.exchange(in.dir.fd, from, dst.dir.fd, to) }
	do = func() error { return in.fs.ifAllowed(dst.dir.fd, to, 0o700, swap) }
	undo = func() {
		if !in.fs.stepwise { // else what was replaced is gone
			_ = do()
		}
	}
	return do, undo
}

// linkOver gives a file a name that only lower layers have.
func (in *names) linkOver(workfd int, from *byte, dst *names, to *byte) (do func() error, undo func()) {
	do = func() error {
		tmp := cString(in.fs.tmpName())
		err := sysLinkAt(in.dir.fd, from, workfd, tmp)
		if err != nil {
			return err
		}
		if err = sysRenameAt(workfd, tmp, dst.dir.fd, to); err != nil {
			_ = sysUnlinkAt(workfd, tmp, 0)
		}
		return err
	}
	return do, func() { _ = sysUnlinkAt(dst.dir.fd, to, 0) }
}

// writeIntent makes the whiteout and writes the intent down.
func (in *names) writeIntent(workfd int, i *intent, from *byte, dst *names, to *byte) (err error) {
	fs := in.fs
	if i.from, err = fs.upperPath(in.node, from); err != nil {
		return err
	}
	if i.to, err = fs.upperPath(dst.node, to); err != nil {
		return err
	}
	if err := fs.makeWhiteout(workfd, cString(intentHiding+"\x00")); err != nil {
		return err
	}
	fd, err := fs.openAt(workfd, cString(intentName+"\x00"), openMake, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return sysPwrite(fd, i.encode(), 0)
}

// upperPath gives the path of a name in a directory.
func (fs *FS) upperPath(d *node, name *byte) (string, error) {
	path, err := fs.pathUp(d, maxPath, func(*stack) string { return "" })
	return path + "/" + goString(name), err
}

// dropIntent removes an intent first, then the whiteout that it would take.
func (fs *FS) dropIntent(workfd int) {
	_ = sysUnlinkAt(workfd, cString(intentName+"\x00"), 0)
	_ = sysUnlinkAt(workfd, cString(intentHiding+"\x00"), 0)
}

// finishRename takes the second step of a rename that the last run was cut short in.
func (fs *FS) finishRename(work string) error {
	if fs.readOnly {
		return nil
	}
	b, err := readRegular(filepath.Join(work, intentName))
	if err == nil {
		if i, ok := decodeIntent(b); ok {
			err = fs.finish(&i)
		}
	}
	if err != nil {
		return fmt.Errorf("finish the rename in %s: %w", filepath.Join(work, intentName), err)
	}
	for _, name := range []string{intentName, intentHiding} {
		if err := os.Remove(filepath.Join(work, name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

func (fs *FS) finish(i *intent) error {
	src, from, err := fs.upperPlace(i.from, i.left)
	if err != nil || src == nil {
		return err
	}
	dst, _, err := fs.upperPlace(i.to, i.moved)
	if err != nil || dst == nil {
		return err
	}
	work, err := fs.dirFD(fs.work, 0)
	if err != nil {
		return err
	}
	defer work.release()
	dir, err := fs.dirFD(src, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	return fs.hideAt(work.fd, cString(intentHiding+"\x00"), dir.fd, from)
}

// upperPlace finds the directory of a path whose last name stands for a file of the
// upper; nil when it stands for something else.
func (fs *FS) upperPlace(path string, what ID) (d *node, name *byte, err error) {
	d = fs.root
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for _, name := range names[:len(names)-1] {
		var st sysStat
		d, err = fs.lookup(Caller{MayBlock: true}, d, []byte(name), &st)
		if err == nil && !d.isDir() {
			err = syscall.ENOTDIR
		}
		if err == syscall.ENOENT || err == syscall.ENOTDIR {
			return nil, nil, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
	name = cString(names[len(names)-1] + "\x00")
	var f found
	switch err := fs.find(d, name, &f); {
	case err == syscall.ENOENT || err == nil && (f.layer != 0 || fs.identity(0, &f.st) != what):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	return d, name, nil
}
