package overlay

import (
	"encoding/binary"
	"errors"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The marks of overlayfs's userxattr format, and our own.
const (
	markPrefix   = "user.overlay."
	markWhiteout = markPrefix + "whiteout" // on an empty file: the name is gone
	markOpaque   = markPrefix + "opaque"   // y: lower layers do not show; x: whiteouts are inside
	markRedirect = markPrefix + "redirect" // the name or path of a directory in the layers below
	markImpure   = markPrefix + "impure"   // objects inside carry markOrigin

	ownPrefix  = "user.nixnfsd."
	markOrigin = ownPrefix + "origin" // the ID from before copy-up
	markLinks  = ownPrefix + "lowerlinks"
	// markLayered is on an upper that was served with lower layers: its marks
	// have to be read for good.
	markLayered = ownPrefix + "layered"
)

func isOwnMark(name string) bool {
	return strings.HasPrefix(name, markPrefix) || strings.HasPrefix(name, ownPrefix)
}

// noMark reports whether the error only says that a mark is not there. EOPNOTSUPP is macOS's
// for a socket, which it does not open.
func noMark(err error) bool {
	return errors.Is(err, errNoAttr) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPERM)
}

// dirMarks are a directory's marks.
type dirMarks struct{ opaque, whiteouts, impure bool }

// readMark reads a mark of an object in a layer; ok is false where there is none.
// The system shows user xattrs only to who may read the object: in the upper the
// owner takes that right, a lower object that he may not read counts as unmarked.
func (fs *FS) readMark(in int, o target, mark string, p []byte) (n int, ok bool, err error) {
	n, err = getMarkOf(o.fd, mark, p)
	if err == syscall.EACCES && in == 0 && !fs.readOnly {
		err = fs.allowedOn(o, o.dirfd, o.name, 0o400, func() error {
			n, err = getMarkOf(o.fd, mark, p)
			return err
		})
	}
	if err != nil && (noMark(err) || in != 0 && err == syscall.EACCES) {
		return 0, false, nil
	}
	return n, err == nil, err
}

func (fs *FS) readDirMarks(in int, o target) (m dirMarks, err error) {
	if in == 0 && fs.stepwise && !fs.readOnly {
		if err := fs.finishExchange(o); err != nil {
			return m, err
		}
	}
	opaque, err := fs.readFlag(in, o, markOpaque)
	if err != nil {
		return m, err
	}
	m.opaque = opaque == 'y'
	// An opaque directory holds whiteouts when the process ended while it was cut off.
	m.whiteouts = m.opaque || opaque == 'x'
	impure, err := fs.readFlag(in, o, markImpure)
	m.impure = impure == 'y'
	return m, err
}

// readFlag reads a mark of one character. Another one is none, as in overlayfs.
func (fs *FS) readFlag(in int, o target, mark string) (byte, error) {
	var b [2]byte
	n, ok, err := fs.readMark(in, o, mark, b[:])
	if errors.Is(err, unix.ERANGE) {
		return 0, nil
	}
	if !ok || n != 1 {
		return 0, err
	}
	return b[0], nil
}

// setDirMark marks a directory.
func setDirMark(fd int, name *byte, mark, value string) error {
	return setMark(fd, name, mark, []byte(value))
}

// hides reports whether what a part holds under a name is a whiteout.
func (fs *FS) hides(part *stackPart, fd int, name *byte, st *sysStat) (bool, error) {
	if fs.marked && isWhiteoutDevice(st) {
		return true, nil
	}
	if !part.whiteouts {
		return false, nil
	}
	return isWhiteout(fd, name, st)
}

// isWhiteoutDevice knows overlayfs's older whiteout, which lower directories from
// elsewhere can hold. Ours never makes one: it takes root.
func isWhiteoutDevice(st *sysStat) bool {
	return st.typ() == ModeChar && st.major == 0 && st.minor == 0
}

// isWhiteout reports whether the name is a whiteout. Only an empty regular file
// can be one, and only one that its owner may read.
func isWhiteout(fd int, name *byte, st *sysStat) (bool, error) {
	if st.typ() != ModeRegular || st.size != 0 {
		return false, nil
	}
	var b [2]byte
	_, err := getMark(fd, name, markWhiteout, b[:])
	switch {
	case err == nil || errors.Is(err, unix.ERANGE):
		return true, nil
	case noMark(err) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOENT):
		return false, nil
	}
	return false, err
}

// originLen is the length of markOrigin's value: a version, fileid, generation.
const originLen = 17

const originVersion = 1

func encodeOrigin(id ID) []byte {
	b := make([]byte, 0, originLen)
	b = append(b, originVersion)
	b = binary.BigEndian.AppendUint64(b, id.Fileid)
	return binary.BigEndian.AppendUint64(b, id.Gen)
}

// readOrigin gives the ID that an object of the upper had before it was copied up, if it
// was. ESTALE says that the name has come to stand for another object than found.
func (fs *FS) readOrigin(dirfd int, name *byte, found ID) (id ID, ok bool, err error) {
	var b [originLen + 1]byte
	var n int
	err = fs.withHeld(dirfd, name, func(o target, st *sysStat) error {
		if fs.identity(0, st) != found {
			return syscall.ESTALE
		}
		n, ok, err = fs.readMark(0, o, markOrigin, b[:])
		return err
	})
	if err == unix.EOPNOTSUPP { // of a socket the journal knows it
		err = nil
	}
	if err != nil || !ok {
		return ID{}, false, gone(err)
	}
	if id, ok = decodeOrigin(b[:n]); !ok {
		return ID{}, false, syscall.EIO
	}
	return id, true, nil
}

func decodeOrigin(b []byte) (id ID, ok bool) {
	if len(b) != originLen || b[0] != originVersion {
		return ID{}, false
	}
	return ID{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])}, true
}

// readLowerLinks gives how many lower names a copied-up object still has, and which inode it
// is.
func (fs *FS) readLowerLinks(fd int, name *byte) (links int32, found ID, err error) {
	var b [4]byte
	var n int
	err = fs.withHeld(fd, name, func(o target, st *sysStat) (err error) {
		found = fs.identity(0, st)
		n, _, err = fs.readMark(0, o, markLinks, b[:])
		return err
	})
	if err != nil || n != len(b) {
		return 0, found, gone(err)
	}
	return int32(binary.BigEndian.Uint32(b[:])), found, nil
}

func writeLowerLinks(fd int, name *byte, links int32) error {
	return setMark(fd, name, markLinks, binary.BigEndian.AppendUint32(nil, uint32(links)))
}
