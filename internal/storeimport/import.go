package storeimport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/nfstree"
)

// Staging is where the copy is before it is whole.
const Staging = ".nixnfsd-import"

// linksDir is where Nix keeps a name of each file that it has linked.
const linksDir = ".links"

const (
	halfMade = "part"
	source   = "source" // which store the copy is of
	apart    = "apart"  // the Options.Var that may hold a copy
)

// Options say what is to be imported, and who is told of it.
type Options struct {
	From string // the directory that holds store and var
	// Var is a directory outside of the tree that var is to lead to; empty: var is in the tree.
	Var  string
	Read func(io.Reader) io.Reader // counts the bytes of a file
	File func()                    // counts files
}

// Imported is what was copied by this run.
type Imported struct {
	Paths int // of the store, all
	There int // those that an earlier run had copied
	Links int // names that were linked
}

// Import copies a store into a tree that has none.
func Import(ctx context.Context, tree *nfstree.Tree, o Options) (*Imported, error) {
	i := &importer{ctx: ctx, tree: tree.Fork(), o: o}
	i.copier = &copier{ctx: ctx, links: links{}, read: o.Read, file: o.File, skip: i.momentary}
	if err := i.run(); err != nil {
		return nil, fmt.Errorf("import %s: %w", o.From, err)
	}
	i.result.Links = i.copier.names
	return &i.result, nil
}

type importer struct {
	ctx     context.Context
	tree    *nfstree.Tree
	o       Options
	copier  *copier
	staging nfstree.Dir
	result  Imported
}

func (i *importer) run() error {
	if err := isDatabase(filepath.Join(i.o.From, "var/nix/db/db.sqlite")); err != nil {
		return fmt.Errorf("it holds no store of Nix: %w", err)
	}
	held, err := lock(i.o.From)
	if err != nil {
		return err
	}
	defer held.unlock()
	if err := i.stage(); err != nil {
		return err
	}
	if err := i.paths(); err != nil {
		return err
	}
	if err := i.state(); err != nil {
		return err
	}
	return i.publish()
}

// isDatabase holds that a file begins as SQLite's do (https://www.sqlite.org/fileformat.html, 1.3).
func isDatabase(file string) error {
	const magic = "SQLite format 3\x00"
	f, err := openFile(file)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, len(magic))
	if _, err := io.ReadFull(f, b); err != nil || string(b) != magic {
		return fmt.Errorf("%s is no SQLite database", file)
	}
	return nil
}

// momentary tells what Nix makes anew, and what only its owner reads.
func (i *importer) momentary(path string) bool {
	name, err := filepath.Rel(i.o.From, path)
	if err != nil {
		return false
	}
	switch name {
	case "var/nix/db/big-lock", "var/nix/db/reserved", "var/nix/db/db.sqlite-shm", "var/nix/gc.lock", "var/nix/gc-socket", "var/nix/daemon-socket", "var/nix/temproots", "var/nix/userpool", "var/nix/userpool2", "var/nix/builds":
		return true
	}
	dir, base := filepath.Split(name)
	return dir == "store/" && strings.HasSuffix(base, ".lock")
}

// stage makes Staging, or goes on with the one of the same store. The tree has to be empty, unless
// a run was ended while all of it appeared.
func (i *importer) stage() error {
	root := i.tree.Root()
	info, err := os.Stat(filepath.Join(i.o.From, "store"))
	if err != nil {
		return err
	}
	mark := fmt.Sprintf("%s %d\n", i.o.From, info.Sys().(*syscall.Stat_t).Ino)
	same, err := root.Holds(i.ctx, mark, Staging, source)
	if err != nil {
		return err
	}
	if !same {
		if err := i.clear(); err != nil {
			return err
		}
	}
	if i.staging, err = root.Mkdir(i.ctx, Staging); err == nil && !same {
		_, err = i.staging.Write(i.ctx, source, nfstree.Data, strings.NewReader(mark))
	}
	return err
}

// clear removes what was copied of another store, where there is nothing else. What does not say what it is of is
// always removed: a run was ended that had just begun, or that had come to its very end.
func (i *importer) clear() error {
	root := i.tree.Root()
	staging, err := root.Lookup(i.ctx, Staging)
	if err == nil {
		_, err = staging.Lookup(i.ctx, source)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = root.RemoveAll(i.ctx, Staging)
	}
	if err != nil {
		return err
	}
	for _, name := range []string{"store", "var"} {
		if _, err := root.Lookup(i.ctx, name); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("the new store is not empty: there is a %s in it", name), err)
		}
	}
	return root.RemoveAll(i.ctx, Staging)
}

// paths copies the store, path by path. Nix's .links comes last: by then all of its files are known.
func (i *importer) paths() error {
	if _, err := i.tree.Root().Lookup(i.ctx, "store"); err == nil {
		return nil // it has appeared before
	}
	from := filepath.Join(i.o.From, "store")
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	store, err := i.staging.Mkdir(i.ctx, "store")
	if err != nil {
		return err
	}
	whole, err := i.resume(store, entries)
	if err != nil {
		return err
	}
	for _, last := range []bool{false, true} {
		for _, e := range entries {
			if (e.Name() == linksDir) != last || whole[e.Name()] || i.momentary(filepath.Join(from, e.Name())) {
				continue
			}
			if err := i.path(store, e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// resume finds what an earlier run has copied, and removes what the old store has no more.
func (i *importer) resume(store nfstree.Dir, entries []os.DirEntry) (map[string]bool, error) {
	nodes, err := store.List(i.ctx)
	if err != nil {
		return nil, err
	}
	whole := map[string]bool{}
	for _, e := range entries {
		if n, there := nodes[e.Name()]; there && e.Name() != linksDir {
			if err := i.known(n, filepath.Join(i.o.From, "store", e.Name())); err != nil {
				return nil, err
			}
			whole[e.Name()] = true
			i.result.Paths++
			i.result.There++
		}
	}
	for name := range nodes {
		if !whole[name] {
			if err := store.RemoveAll(i.ctx, name); err != nil {
				return nil, err
			}
		}
	}
	return whole, nil
}

// known has other names of the files of a path that was copied be linked to them, and gives the path the
// mode that the earlier run may not have come to give it.
func (i *importer) known(n nfstree.Node, from string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if l := i.copier.links.meet(info); l != nil {
		l.node, l.copied = n, true
	}
	if !info.IsDir() {
		return nil
	}
	nodes, err := n.List(i.ctx)
	for name, below := range nodes {
		if err == nil {
			err = i.known(below, filepath.Join(from, name))
		}
	}
	if err == nil && n.Mode.Perm() != info.Mode().Perm() {
		err = n.Chmod(i.ctx, info.Mode().Perm())
	}
	return err
}

// path copies one store path, which appears in Staging when it is whole and on the disk.
func (i *importer) path(store nfstree.Dir, name string) error {
	from := filepath.Join(i.o.From, "store", name)
	info, err := os.Lstat(from)
	if err == nil {
		err = i.staging.RemoveAll(i.ctx, halfMade)
	}
	if err != nil {
		return err
	}
	var dir nfstree.Dir
	if info.IsDir() {
		if dir, err = i.staging.Mkdir(i.ctx, halfMade); err == nil {
			err = i.copier.fill(dir, from, info)
		}
	} else {
		err = i.copier.into(i.staging, halfMade, from)
	}
	if err == nil {
		err = i.tree.Commit(i.ctx)
	}
	if err == nil {
		err = i.staging.Rename(i.ctx, halfMade, store, name)
	}
	if err == nil && info.IsDir() && info.Mode().Perm() != nfstree.Open {
		err = dir.Chmod(i.ctx, info.Mode().Perm())
	}
	if name != linksDir {
		i.result.Paths++
	}
	return err
}

// state copies var, which is done anew by each run: the database may have changed.
func (i *importer) state() error {
	if _, err := i.tree.Root().Lookup(i.ctx, "var"); err == nil {
		return nil
	}
	from := filepath.Join(i.o.From, "var")
	if err := i.staging.RemoveAll(i.ctx, "var"); err != nil {
		return err
	}
	if i.o.Var != "" {
		if err := i.copyApart(from); err != nil {
			return err
		}
		return i.staging.Symlink(i.ctx, "var", i.o.Var)
	}
	if err := i.copier.into(i.staging, "var", from); err != nil {
		return err
	}
	return i.tree.Commit(i.ctx)
}

// publish has the store appear, and then var, which tells of what is in it.
func (i *importer) publish() error {
	root := i.tree.Root()
	for _, name := range []string{"store", "var"} {
		err := i.staging.Rename(i.ctx, name, root, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("have %s appear: %w", name, err)
		}
	}
	return root.RemoveAll(i.ctx, Staging)
}
