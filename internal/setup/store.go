package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/du"
	"github.com/nixnfsd/nixnfsd/internal/units"
)

// storeDirs are the server's own directories, which hold the store, what the server knows of it, and
// /nix/var where bootstrap has put that on a native disk.
func (c *Config) storeDirs() []string {
	dirs := []string{c.Layout.Upper, c.Layout.Work, c.Layout.State}
	if c.Data != "" {
		dirs = append(dirs, filepath.Join(c.Data, "var"))
	}
	return dirs
}

// Ours are those of the server's directories that hold nothing but what it puts there, so that
// they may be deleted one day: all that hold nothing yet, and the standard ones.
func (c *Config) Ours(s *Seen) []string {
	standard := []string{c.State, filepath.Join(c.Data, "upper"), filepath.Join(c.Data, "work"), filepath.Join(c.Data, "var")}
	return slices.DeleteFunc(c.storeDirs(), func(dir string) bool {
		return dir == "" || within(c.Home, dir) || s.Full[dir] && !slices.Contains(standard, dir) && !s.Noted[dir]
	})
}

// NoteStore has a user's receipt tell of directories of the store, and of those above them, that makeIt makes:
// from before it does on. What is there already stays its owner's, and what is not there afterwards is
// forgotten.
func NoteStore(file string, dirs []string, makeIt func() error) error {
	fresh := slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool { return !absent(dir) })
	if len(fresh) == 0 {
		return makeIt()
	}
	var above []string
	for _, dir := range fresh {
		above = union(above, missing(filepath.Dir(dir))...)
	}
	err := Amend(file, func(r *Receipt) {
		for _, dir := range above {
			r.Note(Change{Path: dir, Dir: true})
		}
		r.Store = union(r.Store, fresh...)
	})
	if err != nil {
		return err
	}
	failure := makeIt()
	return errors.Join(failure, Amend(file, func(r *Receipt) {
		r.Changes = slices.DeleteFunc(r.Changes, func(c Change) bool { return slices.Contains(above, c.Path) && absent(c.Path) })
		r.Store = slices.DeleteFunc(r.Store, func(dir string) bool { return slices.Contains(fresh, dir) && absent(dir) })
	}))
}

// within reports whether a path is a directory or lies in it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// StoreDir is a directory of the store as it is now.
type StoreDir struct {
	Path  string
	Files int   // names of all kinds in it
	Bytes int64 // on the disk
}

// StoreDirs measures the directories of a user's receipt that are there. The receipt's own file is none
// of theirs.
func (r *Receipt) StoreDirs(ctx context.Context, receipt string) ([]StoreDir, error) {
	var found []StoreDir
	for _, dir := range r.Store {
		if absent(dir) {
			continue
		}
		d := StoreDir{Path: dir}
		if err := d.measure(ctx, receipt); err != nil {
			return nil, fmt.Errorf("look at the store in %s: %w", dir, err)
		}
		found = append(found, d)
	}
	return found, nil
}

// String says how much is in it.
func (d StoreDir) String() string {
	switch d.Files {
	case 0:
		return "nothing"
	case 1:
		return units.Bytes(uint64(d.Bytes)) + " in a file"
	}
	return fmt.Sprintf("%s in %d files", units.Bytes(uint64(d.Bytes)), d.Files)
}

// measure counts what is in a directory, as far as it is let. A link has nothing in it.
func (d *StoreDir) measure(ctx context.Context, receipt string) error {
	if err := nothingMounted(d.Path); err != nil {
		return err
	}
	if info, err := os.Lstat(d.Path); err != nil || !info.IsDir() {
		return passOver(err)
	}
	u, err := du.Count(ctx, du.Options{Layers: []string{d.Path}, Path: "."})
	if err != nil {
		return passOver(err)
	}
	d.Files, d.Bytes = int(u.Within()), int64(du.Sum(u.Total()))
	if within(receipt, d.Path) && !absent(receipt) {
		d.Files--
	}
	return nil
}

// passOver lets what is not there, or not to be read, not be counted.
func passOver(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
