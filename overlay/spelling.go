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

// shown gives a client's name for one inside; ok is false where it stands for none.
func (fs *FS) shown(name []byte) (shown []byte, ok bool) {
	if !fs.escaped {
		return name, true
	}
	if isLongName(name) {
		return fs.longNameOf(name)
	}
	return shownName(name)
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
	plain, ok := fs.shown(name)
	if !ok && isLongName(name) { // no dictionary has it: it is the layer's, and was never told
		var err error
		if plain, err = fs.findLongName(dirfd, name); err != nil {
			return nil, err
		}
		ok = plain != nil
	}
	if !ok {
		return nil, syscall.ENOENT
	}
	return cBytes(plain), nil
}

// cBytes makes a C string.
func cBytes(name []byte) *byte { return cString(string(name) + "\x00") }

// inside gives the name inside for one listed in a layer; ok is false where it stands for
// none there.
func (fs *FS) inside(layer int, disk []byte) (name []byte, ok bool) {
	switch l := &fs.layers[layer]; {
	case len(disk) > maxName:
		return nil, false
	case l.escaped == fs.escaped:
		return disk, true
	case !fs.escaped && isLongName(disk):
		return fs.longNameOf(disk)
	case !fs.escaped:
		return shownName(disk)
	}
	name = storedName(disk)
	if isLongName(name) {
		fs.long.remember(name, disk)
	}
	return name, true
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
func (fs *FS) insidePath(layer int, disk string) string {
	if fs.layers[layer].escaped == fs.escaped {
		return disk
	}
	names := strings.Split(disk, "/")
	for i := range names {
		if name, ok := fs.inside(layer, []byte(names[i])); ok {
			names[i] = string(name)
		}
	}
	return strings.Join(names, "/")
}

// shownPath gives a path with clients' names for one with those inside.
func (fs *FS) shownPath(path string) string {
	if !fs.escaped {
		return path
	}
	names := strings.Split(path, "/")
	for i := range names {
		if name, ok := fs.shown([]byte(names[i])); ok {
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
