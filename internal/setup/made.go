package setup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// NoteMade has the receipt file remember what another program makes at some paths, and beneath those that
// become directories. What is there before stays its owner's. It can be known only afterwards: what
// is made when this process ends in the middle is in no receipt.
func NoteMade(file string, paths []string, program func() error) error {
	absent := slices.DeleteFunc(slices.Clone(paths), func(p string) bool {
		_, err := os.Lstat(p)
		return !errors.Is(err, fs.ErrNotExist)
	})
	failure := program()
	made, err := madeAt(absent)
	if err == nil && len(made) > 0 {
		err = Amend(file, func(r *Receipt) {
			for _, c := range made {
				r.Note(c)
			}
		})
	}
	return errors.Join(failure, err)
}

// madeAt looks at what there is at paths, directories before what is in them.
func madeAt(paths []string) (made []Change, err error) {
	for _, p := range paths {
		walkErr := filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			c := Change{Path: path, Dir: err == nil && d.IsDir()}
			if err == nil && !c.Dir {
				c.Digest, err = digestNow(path)
			}
			made = append(made, c)
			return err
		})
		err = errors.Join(err, walkErr)
	}
	return made, err
}
