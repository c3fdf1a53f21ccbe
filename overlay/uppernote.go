package overlay

import (
	"fmt"
	"path/filepath"
)

// upperName is the file in the work directory that tells which upper it is of: with another
// upper's, the other's copies of lower files would show.
const upperName = "upper"

// upperNote tells uppers apart. One that was moved still has its root's ID, one that was
// restored from a backup its path.
type upperNote struct {
	root ID
	path string
}

func (n upperNote) encode() []byte { return fmt.Appendf(nil, "%s %q\n", indexName(n.root), n.path) }

// loadUpperNote reads whose a work directory is.
func loadUpperNote(work string) (n upperNote, err error) {
	b, err := readRegular(filepath.Join(work, upperName))
	if err != nil {
		return n, fmt.Errorf("read which upper the work directory is of: %w", err)
	}
	return decodeUpperNote(b), nil
}

// decodeUpperNote gives nothing for what is no note.
func decodeUpperNote(b []byte) (n upperNote) {
	var root, path string
	if _, err := fmt.Sscanf(string(b), "%s %q\n", &root, &path); err == nil {
		n.root, _ = parseIndexName(root)
		n.path = path
	}
	return n
}

// upperNotes gives what a work directory says of its upper, zero where it says nothing, and
// what it should say. One of another upper gives an *UnfitError.
func (fs *FS) upperNotes(work string) (was, now upperNote, err error) {
	dir, err := fs.dirFD(fs.root, 0)
	if err != nil {
		return was, now, err
	}
	defer dir.release()
	var st sysStat
	if err := sysFstat(dir.fd, &st); err != nil {
		return was, now, err
	}
	now = upperNote{fs.identity(0, &st), fs.layers[0].path}
	was, err = loadUpperNote(work)
	if err == nil && was != (upperNote{}) && was.root != now.root && was.path != now.path {
		err = &UnfitError{
			Dir: work, Reason: fmt.Sprintf("is the work directory of another upper, %s", was.path),
			Mend: "give that of " + now.path + ", or an empty one; if both were copied here together, remove " + filepath.Join(work, upperName),
		}
	}
	return was, now, err
}

// keepUpperNote notes in the work directory which upper it is of. That the note is right tells
// later starts that the upper was found fit.
func (fs *FS) keepUpperNote(work string, was, now upperNote) error {
	if was == now {
		return nil
	}
	if err := fs.keepFile(work, upperName, now.encode()); err != nil {
		return fmt.Errorf("note which upper the work directory is of: %w", err)
	}
	return nil
}
