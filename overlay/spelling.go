package overlay

import (
	"strings"
	"sync"
	"syscall"
)

// Inside, a name is spelt as the upper spells it: places, listings, cookies and the
// journal hold stored names where the upper is escaped. Clients' names come in by stored
// and storedNew and go out by shown; onDisk gives the spelling of a layer.

// stored gives the name inside for a client's.
func (fs *FS) stored(name []byte) []byte {
	if !fs.escaped {
		return name
	}
	s := storedName(name)
	if isLongName(s) {
		fs.long.remember(s, name)
	}
	return s
}

// storedNew is stored for a name that may be made: what it takes to show it again is on
// disk before.
func (fs *FS) storedNew(c Caller, name []byte) ([]byte, error) {
	s := fs.stored(name)
	if fs.readOnly || !fs.escaped || !isLongName(s) || fs.long.isKept(s) {
		return s, nil
	}
	if !c.MayBlock {
		return nil, ErrWouldBlock
	}
	return s, fs.keepLongName(s, name)
}

// shown gives a client's name for one inside; nil where it stands for none. The error says that
// it could not be found out.
func (fs *FS) shown(name []byte) (shown []byte, err error) {
	if !fs.escaped {
		return name, nil
	}
	return fs.unstored(name)
}

// unstored gives the name that a stored name stands for; nil where it stands for none.
func (fs *FS) unstored(stored []byte) (name []byte, err error) {
	if isLongName(stored) {
		return fs.longNameOf(stored)
	}
	if name, ok := shownName(stored); ok {
		return name, nil
	}
	return nil, nil
}

// onDisk gives the spelling of a name in the part of a directory that dirfd is: another
// where one of the layer and the upper is escaped and the other is not.
func (fs *FS) onDisk(layer, dirfd int, name *byte) (*byte, error) {
	if fs.layers[layer].escaped == fs.escaped {
		return name, nil
	}
	return fs.respell(dirfd, []byte(goString(name)))
}

func (fs *FS) respell(dirfd int, name []byte) (*byte, error) {
	if !fs.escaped {
		return cBytes(storedName(name)), nil
	}
	plain, _ := fs.shown(name)
	if plain == nil && isLongName(name) { // no dictionary tells: it is the layer's, and was never told
		var err error
		if plain, err = fs.findLongName(dirfd, name); err != nil {
			return nil, err
		}
	}
	if plain == nil {
		return nil, syscall.ENOENT
	}
	return cBytes(plain), nil
}

// cBytes makes a C string.
func cBytes(name []byte) *byte { return cString(string(name) + "\x00") }

// inside gives the name inside for one listed in a layer; nil where it stands for none there.
// The error says that it could not be found out.
func (fs *FS) inside(layer int, disk []byte) (name []byte, err error) {
	switch l := &fs.layers[layer]; {
	case len(disk) > maxName:
		return nil, nil
	case l.escaped == fs.escaped:
		return disk, nil
	case !fs.escaped:
		return fs.unstored(disk)
	}
	name = storedName(disk)
	if isLongName(name) {
		fs.long.remember(name, disk)
	}
	return name, nil
}

// openIn opens a directory in a layer by its name inside.
func (fs *FS) openIn(layer, dirfd int, name string) (int, error) {
	disk, err := fs.onDisk(layer, dirfd, cString(name+"\x00"))
	if err != nil {
		return -1, err
	}
	return fs.openAt(dirfd, disk, openDir, 0)
}

// insidePath gives a path with the names inside for one with those of a layer.
func (fs *FS) insidePath(layer int, disk string) (string, error) {
	if fs.layers[layer].escaped == fs.escaped {
		return disk, nil
	}
	names := strings.Split(disk, "/")
	for i := range names {
		name, err := fs.inside(layer, []byte(names[i]))
		if err != nil {
			return "", err
		}
		if name != nil {
			names[i] = string(name)
		}
	}
	return strings.Join(names, "/"), nil
}

// shownPath gives a path with clients' names for one with those inside.
func (fs *FS) shownPath(path string) string {
	if !fs.escaped {
		return path
	}
	names := strings.Split(path, "/")
	for i := range names {
		if name, _ := fs.shown([]byte(names[i])); name != nil {
			names[i] = string(name)
		}
	}
	return strings.Join(names, "/")
}

// spellings knows how the names in one part of a directory are spelt, where the volume
// finds them by other spellings too and none is escaped. It is read when it is first needed,
// and again after a refresh.
type spellings struct {
	mu   sync.Mutex
	have map[uint64]struct{} // hashes of the names; nil: not read yet
	// epoch is the refresh since which they are what the layer has.
	epoch uint64
}

// newSpellings gives what a part in the layer needs.
func (l *layer) newSpellings() *spellings {
	if !l.folds || l.escaped {
		return nil
	}
	return new(spellings)
}

// exactly gives ENOENT where the volume has found a name in a directory by another
// spelling than its own.
func (fs *FS) exactly(s *spellings, dirfd int, disk *byte) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch := fs.epoch.Load(); s.have == nil || s.epoch != epoch {
		have := map[uint64]struct{}{}
		err := fs.listDir(dirfd, func(_ int, _ uint64, _ uint8, name []byte) error {
			have[hashBytes(name)] = struct{}{}
			return nil
		})
		if err != nil {
			return err
		}
		s.have, s.epoch = have, epoch
	}
	if _, ok := s.have[hashBytes([]byte(goString(disk)))]; !ok {
		return syscall.ENOENT
	}
	return nil
}
