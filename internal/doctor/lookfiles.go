package doctor

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/setup"
)

// dirs looks at each directory by itself: one that hangs holds up no other.
func (o *onlooker) dirs() []look {
	var looks []look
	for _, d := range []Dir{{Use: "upper", Path: o.Layout.Upper}, {Use: "work", Path: o.Layout.Work}, {Use: "state", Path: o.Layout.State}} {
		looks = append(looks, look{"the directory " + d.Path, func(context.Context) (func(*Sight), error) {
			err := o.dir(&d)
			return func(s *Sight) { s.Dirs = append(s.Dirs, d) }, err
		}})
	}
	return looks
}

func (o *onlooker) dir(d *Dir) (err error) {
	if d.InMount, err = o.inMount(d.Path); err != nil || d.InMount {
		return err
	}
	info, err := os.Stat(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if d.Real, err = filepath.EvalSymlinks(d.Path); err != nil {
		return err
	}
	d.There, d.Dir, d.Mode = true, info.IsDir(), info.Mode().Perm()
	d.UID = int(info.Sys().(*syscall.Stat_t).Uid)
	if d.Use == "state" {
		if info, err := os.Lstat(filepath.Join(d.Path, "key")); err == nil {
			d.Key = &Key{Mode: info.Mode(), Size: info.Size()}
		}
	}
	return d.space()
}

func (d *Dir) space() error {
	var st unix.Statfs_t
	if err := unix.Statfs(d.Path, &st); err != nil {
		return &fs.PathError{Op: "statfs", Path: d.Path, Err: err}
	}
	block := uint64(st.Bsize)
	d.Avail, d.Total, d.Files, d.MaxFiles = uint64(st.Bavail)*block, uint64(st.Blocks)*block, st.Ffree, st.Files
	return nil
}

// nix looks at what Nix needs of the upper.
func (o *onlooker) nix(context.Context) (func(*Sight), error) {
	if in, err := o.inMount(o.Layout.Upper); in || err != nil {
		return nil, err
	}
	store, storeErr := o.place("store")
	vars, varErr := o.place("var")
	var database *Database
	var err error
	if !vars.InMount {
		database, err = o.database(vars.Kind == setup.Directory)
	}
	return func(s *Sight) { s.Store, s.Var, s.Database = store, vars, database }, errors.Join(storeErr, varErr, err)
}

// place looks at a name of the upper, and where it leads.
func (o *onlooker) place(name string) (p Place, err error) {
	path := filepath.Join(o.Layout.Upper, name)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, nil
	case err != nil:
		return p, err
	case info.IsDir():
		p.Kind = setup.Directory
		return p, nil
	case info.Mode()&fs.ModeSymlink == 0:
		p.Kind = setup.Other
		return p, nil
	}
	p.Kind = setup.Symlink
	if p.Target, err = os.Readlink(path); err != nil {
		return p, err
	}
	// A relative target is relative to the mount point, for who reads it there.
	target := p.Target
	if !filepath.IsAbs(target) {
		target = filepath.Join(o.Layout.MountPoint, target)
	}
	if p.InMount, err = o.inMount(target); err != nil || p.InMount {
		return p, err
	}
	_, err = os.Stat(target)
	p.Missing = errors.Is(err, fs.ErrNotExist)
	return p, nil
}

const (
	databaseMagic = "SQLite format 3\x00"
	// Offsets of the versions for writing and reading, which are 2 in WAL mode.
	writeVersion, readVersion = 18, 19
)

// database reads the header of Nix's database, without opening it as one.
func (o *onlooker) database(onMount bool) (*Database, error) {
	d := &Database{Path: filepath.Join(o.Layout.Upper, "var/nix/db/db.sqlite"), OnMount: onMount}
	if in, err := o.inMount(d.Path); in || err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var header [readVersion + 1]byte
	n, _ := f.ReadAt(header[:], 0) // what is too short is broken, but for an empty one, which SQLite makes first
	d.Broken = n > 0 && !bytes.HasPrefix(header[:n], []byte(databaseMagic))
	d.WAL = header[writeVersion] == 2 || header[readVersion] == 2
	return d, nil
}

// kept looks at what the server keeps for itself: when that was changed last, and files that
// clients have removed and still have open.
func (o *onlooker) kept(context.Context) (func(*Sight), error) {
	var newest time.Time
	entries, err := o.list(o.Layout.State)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	removed := 0
	files, workErr := o.list(filepath.Join(o.Layout.Work, "silly"))
	for _, f := range files {
		if !f.IsDir() && strings.Count(f.Name(), "-") >= 3 { // RUN-DIRECTORY-OBJECT-NAME
			removed++
		}
	}
	return func(s *Sight) { s.Newest, s.Removed = newest, removed }, errors.Join(err, workErr)
}

// list lists a directory of the server's. One that is not there, or somebody else's, is empty.
func (o *onlooker) list(dir string) ([]fs.DirEntry, error) {
	if in, err := o.inMount(dir); in || err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
		err = nil
	}
	return entries, err
}
