package storeimport

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/nfstree"
)

// Makes are the directories that an import makes outside of the tree. The second is gone at its end.
func (o *Options) Makes() []string {
	if o.Var == "" {
		return nil
	}
	return []string{o.Var, o.part()}
}

// part is where the copy of var is before it is whole.
func (o *Options) part() string { return o.Var + ".nixnfsd-import" }

// copyApart copies var into a directory of the disk, which appears when it is whole.
func (i *importer) copyApart(from string) error {
	ours, err := i.staging.Holds(i.ctx, i.o.Var, apart) // else it may hold anything
	if err != nil {
		return err
	}
	if entries, err := os.ReadDir(i.o.Var); err == nil && len(entries) > 0 && !ours {
		return fmt.Errorf("%s is not empty", i.o.Var)
	}
	part := i.o.part()
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.MkdirAll(part, nfsOpen); err != nil {
		return err
	}
	if err := i.copyLocal(from, part); err != nil {
		return errors.Join(err, os.RemoveAll(part)) // the disk may be full, and the next run copies it anew
	}
	if !ours {
		if err := i.claim(); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(i.o.Var); err != nil {
		return err
	}
	return os.Rename(part, i.o.Var)
}

// claim notes that what is in Options.Var is a copy from now on.
func (i *importer) claim() error {
	err := i.staging.RemoveAll(i.ctx, apart)
	if err == nil {
		_, err = i.staging.Write(i.ctx, apart, nfstree.Data, strings.NewReader(i.o.Var))
	}
	if err == nil {
		err = i.tree.Commit(i.ctx)
	}
	return err
}

// nfsOpen is the mode of the directories of var.
const nfsOpen = 0o755

// copyLocal copies what is in a directory into one that is empty.
func (i *importer) copyLocal(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = i.ctx.Err()
		}
		if err != nil || path == from {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case i.momentary(path) && d.IsDir():
			return fs.SkipDir
		case i.momentary(path):
			return nil
		case d.IsDir():
			return os.Mkdir(target, nfsOpen)
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case d.Type().IsRegular():
			return i.copyFile(path, target)
		}
		return nil // a socket
	})
}

func (i *importer) copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	i.o.File()
	_, err = io.Copy(out, i.o.Read(in))
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
