package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// markNames is on the root of an escaped upper.
const markNames = ownPrefix + "names"

const namesEscaped = "escaped"

// checkNames finds out how the layers spell names. An upper on a volume that folds names
// is escaped from its first start on, for good, wherever it is copied to.
func (fs *FS) checkNames(o *Options) error {
	s := fs.root.dir.stack.Load()
	for i := range s.parts {
		fd := s.parts[i].dir.p.Load().fd
		l := &fs.layers[i]
		var err error
		if l.escaped, err = isEscaped(fd); err != nil {
			return &UnfitError{Dir: l.path, Reason: "cannot be examined", Err: err}
		}
		l.folds = !l.escaped && (sysFolds(fd) || fs.foundFolded(fd))
	}
	fs.escaped = fs.layers[0].escaped
	if !fs.escaped && !fs.readOnly {
		if err := fs.escapeIfFolding(o.Upper); err != nil {
			return err
		}
	}
	for i := range s.parts {
		s.parts[i].dir.spelt = fs.layers[i].newSpellings()
	}
	return nil
}

func isEscaped(fd int) (bool, error) {
	var b [len(namesEscaped) + 1]byte
	n, err := getMark(fd, &dotName[0], markNames, b[:])
	if err != nil {
		if noMark(err) || errors.Is(err, unix.EACCES) {
			err = nil
		}
		return false, err
	}
	if string(b[:n]) != namesEscaped {
		return false, fmt.Errorf("its names are stored in a way not known here: %q", b[:n])
	}
	return true, nil
}

// escapeIfFolding marks an upper whose volume folds names. What it holds has to be spelt
// already as it would be stored.
func (fs *FS) escapeIfFolding(dir string) error {
	upper := &fs.layers[0]
	if !upper.folds {
		exact, err := fs.keepsNames()
		if err != nil || exact {
			return err
		}
	}
	if err := canEscape(dir); err != nil {
		return err
	}
	fd := fs.root.dir.stack.Load().parts[0].dir.p.Load().fd
	if err := setMark(fd, &dotName[0], markNames, []byte(namesEscaped)); err != nil {
		return &UnfitError{Dir: dir, Reason: "is on a file system that confuses names and has no user extended attributes to note it in", Err: err}
	}
	fs.escaped, upper.escaped, upper.folds = true, true, false
	return nil
}

// canEscape reports an error where a directory holds names that are not stored as themselves.
func canEscape(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		if name := []byte(d.Name()); !bytes.Equal(storedName(name), name) {
			return fmt.Errorf("%q", path)
		}
		return nil
	})
	if err != nil {
		return &UnfitError{
			Dir: dir, Reason: "is on a file system that confuses names, and holds some that were not stored for that", Err: err,
			Mend: "choose an empty directory, and copy the files in through the mount",
		}
	}
	return nil
}

// oddNames are names of which no file system that keeps names exactly takes one for another.
var oddNames = [...]string{
	"a", "A", "\u03c3", "\u03a3", "\u03c2", "\u00e9", "e\u0301", "a\u200c", "\ufb01", "fi", "\U0001f600", "\U0001f601", "\xff", "\xfe", "a:",
}

// keepsNames makes odd names in the work directory and reports whether all of them are
// there, as they were given. A full disk does not tell: it is taken for exact.
func (fs *FS) keepsNames() (exact bool, err error) {
	work, err := fs.dirFD(fs.work, 0)
	if err != nil {
		return false, err
	}
	defer work.release()
	prefix := strings.TrimSuffix(fs.tmpName(), "\x00") + "-"
	missing := map[string]bool{}
	for _, odd := range oddNames {
		name := prefix + odd
		if err := fs.makeEmpty(work.fd, cString(name+"\x00")); err != nil {
			return isFull(err), nil
		}
		defer sysUnlinkAt(work.fd, cString(name+"\x00"), 0)
		missing[name] = true
	}
	err = fs.listDir(work.fd, func(_ int, _ uint64, _ uint8, name []byte) error {
		delete(missing, string(name))
		return nil
	})
	return len(missing) == 0, err
}

// foundFolded reports whether a directory that is only read shows that its volume folds
// case: it finds a name with the case of its letters changed, and does not list that.
func (fs *FS) foundFolded(fd int) (folds bool) {
	listed := map[string]uint64{}
	_ = fs.listDir(fd, func(_ int, ino uint64, _ uint8, name []byte) error {
		listed[string(name)] = ino
		if len(listed) == 1<<10 {
			return errEnough
		}
		return nil
	})
	for name := range listed {
		other := swapCase(name)
		if _, both := listed[other]; both || other == name {
			continue
		}
		var st, swapped sysStat
		return sysStatAt(fd, cString(name+"\x00"), &st) == nil &&
			sysStatAt(fd, cString(other+"\x00"), &swapped) == nil && st.ino == swapped.ino && st.dev == swapped.dev && st.nlink == swapped.nlink
	}
	return false
}

// errEnough ends a listing.
var errEnough = errors.New("enough names")

func swapCase(name string) string {
	b := []byte(name)
	for i, c := range b {
		if isUpper(c) || isUpper(c&^0x20) && c >= 'a' {
			b[i] = c ^ 0x20
		}
	}
	return string(b)
}
