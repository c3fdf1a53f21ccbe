package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfstree"
)

// Staging is where paths lie before they come into the store. It is beside the store, where Nix's
// garbage collector does not look.
const Staging = ".nixnfsd-bootstrap"

// Names in Staging that no store path has.
const (
	halfMade = "part"
	staged   = "reginfo" // whose paths the others are
)

// Unpacked is what a tarball brought.
type Unpacked struct {
	Release
	Nix, CACert  string // base names of the paths that the first profile is made of; CACert may be empty
	Registration string // what nix-store --load-db is to read
	Paths        int    // all
	There        int    // those that were in the store before
}

// Unpack puts the paths of a tarball into the store of a tree, but for those that are there. system is
// whose Nix it has to be; files is told of each file that was written. What it has made by a failure
// it goes on with the next time, unless that was a *FormatError.
func Unpack(ctx context.Context, tree *nfstree.Tree, tarball io.Reader, system string, files func()) (*Unpacked, error) {
	u := &unpacker{ctx: ctx, tree: tree.Fork(), system: system, files: files, done: map[string]bool{}, met: map[string]bool{}}
	err := u.unpack(tarball)
	if err == nil {
		return &u.result, nil
	}
	err = fmt.Errorf("unpack Nix: %w", err)
	return nil, errors.Join(err, u.tidy(err))
}

type unpacker struct {
	ctx    context.Context
	tree   *nfstree.Tree
	system string
	files  func()
	result Unpacked

	paths   []registered
	known   map[string]registered // the same by their names
	met     map[string]bool       // paths that the tarball has begun
	done    map[string]bool       // paths that are whole, in the store or not
	staging nfstree.Dir           // none before it is known to be of this tarball
	store   nfstree.Dir           // where there is one
	hasAny  bool                  // there is one

	current string                 // the path that is being unpacked
	dirs    map[string]nfstree.Dir // those in it
}

// tidy removes what a failure leaves: all, where nobody can go on with it.
func (u *unpacker) tidy(failure error) error {
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), patience)
	defer cancel()
	var format *FormatError
	switch {
	case u.staging == nfstree.Dir{}:
	case errors.As(failure, &format):
		return u.tree.Root().RemoveAll(ctx, Staging)
	default:
		_ = u.staging.RemoveAll(ctx, halfMade) // the next run does, where the server is gone
	}
	return nil
}

func (u *unpacker) unpack(tarball io.Reader) error {
	r, err := newReader(tarball)
	if err != nil {
		return err
	}
	for {
		e, err := r.next()
		if errors.Is(err, io.EOF) {
			return u.end()
		}
		if err == nil {
			err = u.entry(r, e)
		}
		if errors.Is(err, errAllThere) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// errAllThere ends the unpacking before the tarball does.
var errAllThere = errors.New("everything is in the store")

func (u *unpacker) entry(r *reader, e *entry) error {
	switch {
	case e.base != "" && len(u.paths) == 0:
		return wrong("its store comes before its registration and its install script")
	case e.base != "":
		return u.part(r, e)
	case e.name != "install" && e.name != ".reginfo":
		return nil
	}
	text, err := r.text()
	if err != nil {
		return err
	}
	if e.name == "install" {
		s := parseScript(text)
		u.result.Nix, u.result.CACert, u.result.Release = s.nix, s.cacert, r.Release
	} else {
		u.result.Registration = text
	}
	if u.result.Nix == "" || u.result.Registration == "" {
		return nil
	}
	return u.begin()
}

// begin looks what is there already, when it is known what there should be.
func (u *unpacker) begin() error {
	if len(u.paths) > 0 {
		return wrong("it has two registrations or two install scripts")
	}
	if s := u.result.System; s != u.system {
		return fmt.Errorf("the tarball is for %s, and this machine is %s", s, u.system)
	}
	var err error
	if u.paths, err = parseRegistration(u.result.Registration); err != nil {
		return err
	}
	u.known = make(map[string]registered, len(u.paths))
	for _, p := range u.paths {
		u.known[p.base] = p
	}
	for _, base := range []string{u.result.Nix, u.result.CACert} {
		if _, known := u.known[base]; base != "" && !known {
			return wrong("%s is to be installed, and not in its registration", base)
		}
	}
	u.result.Paths = len(u.paths)
	if err := u.look(); err != nil {
		return err
	}
	if u.result.There < u.result.Paths {
		return u.stage()
	}
	if err := u.tree.Root().RemoveAll(u.ctx, Staging); err != nil {
		return err
	}
	return errAllThere
}

// look finds the paths that are in the store. One that is something else is not to be touched.
func (u *unpacker) look() error {
	store, err := u.tree.Root().Lookup(u.ctx, "store")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	u.store, u.hasAny = store.Dir, true
	for _, p := range u.paths {
		n, err := u.store.Lookup(u.ctx, p.base)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var whole bool
		if err == nil {
			whole, err = u.whole(n, p)
		}
		if err != nil {
			return fmt.Errorf("look at %s/%s: %w", storeDir, p.base, err)
		}
		if !whole {
			return fmt.Errorf("%s/%s is there, and is not what the tarball has under that name: is it yours? Nix removes it with nix-store --delete", storeDir, p.base)
		}
		u.done[p.base] = true
		u.result.There++
		if err := closed(u.ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// closed gives a store path the mode that an earlier run may not have come to give it.
func closed(ctx context.Context, n nfstree.Node) error {
	if n.Mode.IsDir() && n.Mode.Perm() != nfstree.Closed {
		return n.Close(ctx)
	}
	return nil
}

// stage makes Staging, or goes on with the one of an earlier run from the same tarball.
func (u *unpacker) stage() error {
	root := u.tree.Root()
	same, err := root.Holds(u.ctx, u.result.Registration, Staging, staged)
	if err == nil && !same {
		err = root.RemoveAll(u.ctx, Staging)
	}
	if err == nil {
		u.staging, err = root.Mkdir(u.ctx, Staging)
	}
	if err == nil && !same {
		_, err = u.staging.Write(u.ctx, staged, nfstree.Data, strings.NewReader(u.result.Registration))
	}
	if err == nil && same {
		err = u.staging.RemoveAll(u.ctx, halfMade)
	}
	if err == nil && same {
		err = u.resume()
	}
	return err
}

// resume finds the paths that are whole in Staging.
func (u *unpacker) resume() error {
	nodes, err := u.staging.List(u.ctx)
	if err != nil {
		return err
	}
	for _, p := range u.paths {
		n, there := nodes[p.base]
		if !there || u.done[p.base] {
			continue
		}
		if u.done[p.base], err = u.whole(n, p); err != nil {
			return err
		}
		if !u.done[p.base] {
			if err := u.staging.RemoveAll(u.ctx, p.base); err != nil {
				return err
			}
		}
	}
	return nil
}

// part makes an entry of a store path, unless that is whole.
func (u *unpacker) part(r *reader, e *entry) error {
	if e.base != u.current {
		if err := u.turnTo(e.base); err != nil {
			return err
		}
	}
	if u.dirs == nil {
		return nil
	}
	dir, name := u.staging, halfMade
	if e.name != "" {
		var known bool
		if dir, known = u.dirs[parentOf(e.name)]; !known {
			return wrong("%s/%s comes before its directory", e.base, e.name)
		}
		name = path.Base(e.name)
	}
	if err := u.make(dir, name, r, e); err != nil {
		var format *FormatError
		switch {
		case errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR):
			return wrong("%s/%s comes twice", e.base, e.name)
		case errors.Is(err, errCut) || errors.As(err, &format):
			return err // the tarball's, whatever it was in
		}
		return fmt.Errorf("%s/%s: %w", e.base, e.name, err)
	}
	return nil
}

// parentOf is the name of the directory that a name is in, as u.dirs knows it.
func parentOf(name string) string {
	if dir := path.Dir(name); dir != "." {
		return dir
	}
	return ""
}

func (u *unpacker) make(dir nfstree.Dir, name string, r *reader, e *entry) error {
	switch e.kind {
	case directory:
		if _, twice := u.dirs[e.name]; twice {
			return fs.ErrExist
		}
		made, err := dir.Mkdir(u.ctx, name)
		u.dirs[e.name] = made
		return err
	case symlink:
		return dir.Symlink(u.ctx, name, e.target)
	}
	mode := fs.FileMode(nfstree.Data)
	if e.kind == executable {
		mode = nfstree.Executable
	}
	_, err := dir.Write(u.ctx, name, mode, r)
	u.files()
	return err
}

// turnTo ends the path that was being unpacked, and begins the next.
func (u *unpacker) turnTo(base string) error {
	if err := u.finish(); err != nil {
		return err
	}
	if _, known := u.known[base]; !known {
		return wrong("%s is not in its registration", base)
	}
	if u.met[base] {
		return wrong("%s comes again", base)
	}
	u.met[base] = true
	u.current = base
	if !u.done[base] {
		u.dirs = map[string]nfstree.Dir{}
	}
	return nil
}

// finish makes the path that was unpacked appear whole in Staging.
func (u *unpacker) finish() error {
	if u.dirs == nil {
		return nil
	}
	if err := u.tree.Commit(u.ctx); err != nil {
		return err
	}
	for name, d := range u.dirs {
		if name == "" { // a directory that is closed cannot be moved to another one
			continue
		}
		if err := d.Close(u.ctx); err != nil {
			return fmt.Errorf("%s/%s: %w", u.current, name, err)
		}
	}
	n, err := u.staging.Lookup(u.ctx, halfMade)
	if err != nil {
		return err
	}
	whole, err := u.whole(n, u.known[u.current])
	if err == nil && !whole {
		err = wrong("%s is not what it is registered as", u.current)
	}
	if err == nil {
		err = u.staging.Rename(u.ctx, halfMade, u.staging, u.current)
	}
	u.done[u.current] = err == nil
	u.dirs = nil
	return err
}

// end moves everything into the store, when the tarball was read to its end.
func (u *unpacker) end() error {
	if err := u.finish(); err != nil {
		return err
	}
	if len(u.paths) == 0 {
		return wrong("it has no store")
	}
	for _, p := range u.paths {
		if !u.done[p.base] {
			return wrong("%s is registered, and not in its store", p.base)
		}
	}
	if err := u.ctx.Err(); err != nil {
		return context.Cause(u.ctx)
	}
	return u.publish()
}

func (u *unpacker) publish() error {
	root := u.tree.Root()
	var err error
	if !u.hasAny {
		if u.store, err = root.Mkdir(u.ctx, "store"); err != nil {
			return err
		}
	}
	nodes, err := u.staging.List(u.ctx)
	if err != nil {
		return err
	}
	for _, p := range u.paths {
		n, waits := nodes[p.base]
		if !waits {
			continue
		}
		if err := u.staging.Rename(u.ctx, p.base, u.store, p.base); err != nil {
			return fmt.Errorf("move %s into the store: %w", p.base, err)
		}
		if err := closed(u.ctx, n); err != nil {
			return err
		}
	}
	return root.RemoveAll(u.ctx, Staging)
}
