package storeimport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/nfstree"
)

// copier copies through a server.
type copier struct {
	ctx   context.Context
	links links
	read  func(io.Reader) io.Reader // counts bytes
	file  func()                    // counts files
	names int                       // that were linked
	skip  func(path string) bool    // what is left out
}

// into copies what is at a path of the old store.
func (c *copier) into(d nfstree.Dir, name, from string) error {
	if err := c.ctx.Err(); err != nil {
		return context.Cause(c.ctx)
	}
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		err = c.directory(d, name, from, info)
	case info.Mode().IsRegular():
		err = c.regular(d, name, from, info)
	case info.Mode()&fs.ModeSymlink != 0:
		err = c.once(d, name, info, func() (nfstree.Node, error) { return c.symlink(d, name, from) })
	default:
		return nil // a socket or the like, which nobody listens to here
	}
	var path *fs.PathError
	if err != nil && !errors.As(err, &path) {
		err = &fs.PathError{Op: "copy", Path: from, Err: err}
	}
	return err
}

func (c *copier) directory(d nfstree.Dir, name, from string, info fs.FileInfo) error {
	made, err := d.Mkdir(c.ctx, name)
	if err == nil {
		err = c.fill(made, from, info)
	}
	if err == nil && info.Mode().Perm() != nfstree.Open {
		err = made.Chmod(c.ctx, info.Mode().Perm())
	}
	return err
}

// fill copies what is in a directory, and leaves it open.
func (c *copier) fill(d nfstree.Dir, from string, info fs.FileInfo) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(from, e.Name())
		if c.skip(path) {
			continue
		}
		if err := c.into(d, e.Name(), path); err != nil {
			return err
		}
	}
	return d.SetTime(c.ctx, seconds(info))
}

func (c *copier) regular(d nfstree.Dir, name, from string, info fs.FileInfo) error {
	c.file()
	return c.once(d, name, info, func() (nfstree.Node, error) { return c.content(d, name, from, info) })
}

// once has a file with several names copied for the first of them, and linked for the others.
func (c *copier) once(d nfstree.Dir, name string, info fs.FileInfo, make func() (nfstree.Node, error)) error {
	known := c.links.meet(info)
	if known == nil {
		_, err := make()
		return err
	}
	if known.copied {
		err := d.Link(c.ctx, known.node, name)
		if !errors.Is(err, syscall.EMLINK) { // the new file system may allow fewer
			c.names++
			return err
		}
	}
	var err error
	known.node, err = make()
	known.copied = true
	return err
}

func (c *copier) content(d nfstree.Dir, name, from string, info fs.FileInfo) (nfstree.Node, error) {
	f, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nfstree.Node{}, err
	}
	defer f.Close()
	n, err := d.Write(c.ctx, name, info.Mode().Perm(), c.read(f))
	if err == nil && n.Size != info.Size() {
		err = fmt.Errorf("it has %d bytes, and %d were read: somebody changes it", info.Size(), n.Size)
	}
	if err == nil && seconds(info) != 1 {
		err = n.SetTime(c.ctx, seconds(info))
	}
	return n, err
}

func (c *copier) symlink(d nfstree.Dir, name, from string) (n nfstree.Node, err error) {
	target, err := os.Readlink(from)
	if err == nil {
		err = d.Symlink(c.ctx, name, target)
	}
	if err == nil {
		n, err = d.Lookup(c.ctx, name)
	}
	return n, err
}

// seconds is the mtime as NFSv3 has it.
func seconds(info fs.FileInfo) uint32 { return uint32(max(info.ModTime().Unix(), 0)) }
