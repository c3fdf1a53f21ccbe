package overlay

import (
	"encoding/binary"
	"syscall"
)

// layer is one of the directories that are merged; the upper is number 0.
type layer struct {
	path string
	dev  uint64
	// space tells apart equal inode numbers of different file systems: it is 0
	// for the upper's, and the same for all layers of one file system.
	space uint64
	// escaped says that the layer holds stored names, folds that its volume finds a name
	// by other spellings too.
	escaped, folds bool
	// hfsplus says that the layer is on HFS+ under Linux: a listing gives wrong numbers, and
	// the time of birth has two values.
	hfsplus bool
}

// spaceShift leaves 56 bits for inode numbers, as overlayfs's xino does.
const spaceShift = 56

// identity names the inode that st describes.
func (fs *FS) identity(in int, st *sysStat) ID {
	l := &fs.layers[in]
	gen := st.gen
	if l.hfsplus { // its numbers do not come back
		gen = 0
	}
	if st.dev != l.dev {
		return ID{foreignFileid(st.dev, st.ino), gen}
	}
	if l.space == 0 {
		return ID{st.ino, gen}
	}
	if st.ino>>spaceShift != 0 {
		return ID{foreignFileid(st.dev, st.ino), gen}
	}
	return ID{l.space<<spaceShift | st.ino, gen}
}

// foreignFileid names an inode of a file system that is mounted inside a layer,
// or whose numbers leave no room: a hash in a space of its own.
func foreignFileid(dev, ino uint64) uint64 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], dev)
	binary.BigEndian.PutUint64(b[8:], ino)
	return hashBytes(b[:]) | 1<<63
}

// trueID gives the ID that clients know the inode found by: that from before its copy-up, if
// it was copied up. ESTALE says that its name has come to stand for another meanwhile.
func (fs *FS) trueID(in, dirfd int, name *byte, found ID) (ID, error) {
	if in != 0 || !fs.marked {
		return found, nil
	}
	if id, ok := fs.origins.get(found); ok {
		return id, nil
	}
	if id, ok, err := fs.keptOrigin(found); err != nil || ok {
		if ok {
			fs.origins.put(found, id)
		}
		return id, err
	}
	id, ok, err := fs.readOrigin(dirfd, name, found)
	if err != nil {
		return ID{}, err
	}
	if ok {
		ok, err = fs.mayClaim(id, found)
		if err != nil {
			return ID{}, err
		}
	}
	if !ok {
		id = found
	}
	fs.origins.put(found, id)
	return id, nil
}

// mayClaim reports whether an inode of the upper may have an ID from before a copy-up. The
// copy that the index holds has it before others: where a backup was played back, the
// index can have another file than the upper, and one must not be taken for the other.
func (fs *FS) mayClaim(id, found ID) (bool, error) {
	if !fs.indexed.has(id) {
		return true, nil
	}
	dir, err := fs.dirFD(fs.index, 0)
	if err != nil {
		return false, err
	}
	defer dir.release()
	var st sysStat
	err = sysStatAt(dir.fd, cString(indexName(id)+"\x00"), &st)
	if err == syscall.ENOENT { // removed meanwhile, with the last of the names
		return true, nil
	}
	return err == nil && fs.identity(0, &st) == found, err
}
