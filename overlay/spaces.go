package overlay

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
)

// spacesName is the file in the work directory that tells which number the file system of
// each lower directory had, in lines of a number and a quoted path. It keeps the IDs of
// their objects when lower directories come, go or change places.
const spacesName = "spaces"

// maxSpace is the largest number; what is above has bits of foreignFileid.
const maxSpace = 1<<(63-spaceShift) - 1

// spaces are the numbers by the lower directories' paths.
type spaces map[string]uint64

// loadSpaces reads the numbers.
func loadSpaces(work string) (spaces, error) {
	b, err := readRegular(filepath.Join(work, spacesName))
	if err != nil {
		return nil, fmt.Errorf("read the numbers of file systems: %w", err)
	}
	return decodeSpaces(b), nil
}

// decodeSpaces passes over lines that are none.
func decodeSpaces(b []byte) spaces {
	s := spaces{}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		var n uint64
		var path string
		if _, err := fmt.Sscanf(lines.Text(), "%d %q", &n, &path); err == nil && 0 < n && n <= maxSpace {
			s[path] = n
		}
	}
	return s
}

// numberLayers numbers the file systems of the layers: the upper's is 0. On a full disk
// news of them are not kept.
func (fs *FS) numberLayers(work string) error {
	s, changed, err := fs.readSpaces(work)
	if err != nil || !changed || fs.readOnly {
		return err
	}
	if err := fs.keepFile(work, spacesName, s.encode()); err != nil {
		return fmt.Errorf("write the numbers of file systems: %w", err)
	}
	return nil
}

// readSpaces numbers the file systems, and reports whether there is news to be kept.
func (fs *FS) readSpaces(work string) (s spaces, changed bool, err error) {
	if len(fs.layers) == 1 {
		return nil, false, nil
	}
	if s, err = loadSpaces(work); err == nil {
		changed, err = s.number(fs.layers)
	}
	return s, changed, err
}

// number gives each layer the number of its file system and reports whether that is
// news. Numbers that are known are kept; others are new, as long as there are any.
func (s spaces) number(layers []layer) (changed bool, err error) {
	devs := map[uint64]uint64{layers[0].dev: 0}
	taken := map[uint64]bool{}
	claim := func(l *layer, n uint64) {
		if _, ok := devs[l.dev]; !ok && n != 0 && !taken[n] {
			devs[l.dev], taken[n] = n, true
		}
	}
	for i := range layers {
		claim(&layers[i], s[layers[i].path])
	}
	for i := range layers {
		l := &layers[i]
		claim(l, s.unused(taken))
		n, ok := devs[l.dev]
		if !ok {
			return false, fmt.Errorf("%s is on one more file system than the %d that can be told apart", l.path, maxSpace)
		}
		l.space = n
		if n != 0 && s[l.path] != n {
			s[l.path], changed = n, true
		}
	}
	return changed, nil
}

// unused gives the smallest number that no file system ever had, or else the smallest
// that none has now; 0 when all are taken.
func (s spaces) unused(taken map[uint64]bool) uint64 {
	had := maps.Clone(taken)
	for _, n := range s {
		had[n] = true
	}
	for _, out := range []map[uint64]bool{had, taken} {
		for n := uint64(1); n <= maxSpace; n++ {
			if !out[n] {
				return n
			}
		}
	}
	return 0
}

func (s spaces) encode() []byte {
	var b []byte
	for _, path := range slices.Sorted(maps.Keys(s)) {
		b = fmt.Appendf(b, "%d %q\n", s[path], path)
	}
	return b
}
