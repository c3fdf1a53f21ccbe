package nfstree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// Modes of what is in a store (NixOS/nix, posix-fs-canonicalise.cc), and of what is still
// to be changed.
const (
	Data       = 0o444
	Executable = 0o555
	Closed     = 0o555 // a directory to which nothing comes any more
	Open       = 0o755
)

// storeTime is the mtime that everything in a store has.
const storeTime = 1

// Dir is a directory of a Tree.
type Dir struct {
	t  *Tree
	fh nfsclient.FH
}

// On gives the same directory for the goroutine that has t, a Fork.
func (d Dir) On(t *Tree) Dir { return Dir{t, d.fh} }

// Lookup finds what has a name. Nothing has it: fs.ErrNotExist.
func (d Dir) Lookup(ctx context.Context, name string) (Node, error) {
	r, err := d.t.client.Lookup(ctx, d.fh, name)
	if err == nil && r.Attr == nil {
		return d.attributes(ctx, r.FH)
	}
	if err != nil {
		return Node{}, errno(err)
	}
	return d.node(r.FH, r.Attr), nil
}

func (d Dir) attributes(ctx context.Context, fh nfsclient.FH) (Node, error) {
	a, err := d.t.client.Getattr(ctx, fh)
	if err != nil {
		return Node{}, errno(err)
	}
	return d.node(fh, &a), nil
}

// Mkdir makes a directory with the mode Open, or gives the one that is there.
func (d Dir) Mkdir(ctx context.Context, name string) (Dir, error) {
	r, err := d.t.client.Mkdir(ctx, d.fh, name, nfsclient.SetAttr{Mode: new(uint32(Open))})
	if err == nil && r.FH != nil {
		return Dir{d.t, *r.FH}, nil
	}
	if err != nil && !errors.Is(err, nfsclient.ErrExist) {
		return Dir{}, errno(err)
	}
	n, err := d.Lookup(ctx, name)
	if err == nil && !n.Mode.IsDir() {
		err = errnos[nfsclient.ErrNotDir]
	}
	return n.Dir, err
}

// Symlink makes a symbolic link.
func (d Dir) Symlink(ctx context.Context, name, target string) error {
	_, err := d.t.client.Symlink(ctx, d.fh, name, target, nfsclient.SetAttr{Mtime: at(storeTime)})
	return errno(err)
}

// Write makes a file that is not there, with what r has to its end, which the next Commit has
// on the disk.
func (d Dir) Write(ctx context.Context, name string, mode fs.FileMode, r io.Reader) (Node, error) {
	made, err := d.t.client.Create(ctx, d.fh, name, nfsclient.Guarded, nfsclient.SetAttr{Mode: new(uint32(mode.Perm()))})
	if err != nil {
		return Node{}, errno(err)
	}
	if made.FH == nil {
		return Node{}, errors.New("the server gives no file handle")
	}
	n := Node{Dir: Dir{d.t, *made.FH}, Mode: mode}
	if err := n.fill(ctx, r); err != nil {
		return n, err
	}
	return n, n.SetTime(ctx, storeTime)
}

// fill writes a file that is empty.
func (n *Node) fill(ctx context.Context, r io.Reader) error {
	b := n.t.buffer()
	w := written{fh: n.fh}
	for end := false; !end; {
		var got int
		var err error
		if got, end, err = readBlock(r, b); err != nil {
			return err
		}
		if err := n.write(ctx, b[:got], &w); err != nil {
			return err
		}
	}
	if n.Size > 0 {
		n.unsynced = &w
		n.t.written = append(n.t.written, w)
	}
	return nil
}

// readBlock fills b as far as r goes. Unlike io.ReadFull it tells r's end from a cut.
func readBlock(r io.Reader, b []byte) (n int, end bool, err error) {
	for n < len(b) {
		got, err := r.Read(b[n:])
		n += got
		if errors.Is(err, io.EOF) {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

func (n *Node) write(ctx context.Context, b []byte, w *written) error {
	for len(b) > 0 {
		r, err := n.t.client.Write(ctx, n.fh, uint64(n.Size), nfsclient.Unstable, b)
		switch {
		case err != nil:
			return errno(err)
		case r.Count == 0 || int(r.Count) > len(b):
			return fmt.Errorf("the server says that it wrote %d of %d bytes", r.Count, len(b))
		case n.Size > 0 && r.Verf != w.verf:
			return ErrRestarted
		}
		w.verf = r.Verf
		n.Size += int64(r.Count)
		b = b[r.Count:]
	}
	return nil
}

// Link gives a node another name. Where its data may not be on the disk yet, this Tree's next Commit has
// it there too, whichever Fork wrote it.
func (d Dir) Link(ctx context.Context, n Node, name string) error {
	_, err := d.t.client.Link(ctx, n.fh, d.fh, name)
	if err == nil && n.unsynced != nil {
		d.t.written = append(d.t.written, *n.unsynced)
	}
	return errno(err)
}

// Rename moves what has a name, over what has the new one.
func (d Dir) Rename(ctx context.Context, name string, to Dir, toName string) error {
	_, err := d.t.client.Rename(ctx, d.fh, name, to.fh, toName)
	return errno(err)
}

// Chmod changes a mode.
func (d Dir) Chmod(ctx context.Context, mode fs.FileMode) error {
	return d.set(ctx, nfsclient.SetAttr{Mode: new(uint32(mode.Perm()))})
}

// SetTime changes the mtime, in seconds.
func (d Dir) SetTime(ctx context.Context, seconds uint32) error {
	return d.set(ctx, nfsclient.SetAttr{Mtime: at(seconds)})
}

// Close gives a directory of a store path the mode and the mtime that it is to have.
func (d Dir) Close(ctx context.Context) error {
	return d.set(ctx, nfsclient.SetAttr{Mode: new(uint32(Closed)), Mtime: at(storeTime)})
}

func (d Dir) set(ctx context.Context, s nfsclient.SetAttr) error {
	_, err := d.t.client.Setattr(ctx, d.fh, s, nil)
	return errno(err)
}

func at(seconds uint32) nfsclient.SetTime {
	return nfsclient.SetTime{How: nfsclient.ClientTime, Time: nfsclient.Time{Sec: seconds}}
}

// List gives the nodes of a directory by their names.
func (d Dir) List(ctx context.Context) (map[string]Node, error) {
	nodes := map[string]Node{}
	args := nfsclient.ReaddirplusArgs{Dir: d.fh, Dircount: blockSize, Maxcount: blockSize}
	for {
		r, err := d.t.client.Readdirplus(ctx, args)
		if err != nil {
			return nil, errno(err)
		}
		for _, e := range r.Entries {
			args.Cookie = e.Cookie
			if e.Name == "." || e.Name == ".." {
				continue
			}
			if nodes[e.Name], err = d.listed(ctx, &e); err != nil {
				return nil, err
			}
		}
		if r.EOF {
			return nodes, nil
		}
		if len(r.Entries) == 0 {
			return nil, io.ErrNoProgress
		}
		args.Verf = r.Verf
	}
}

// listed makes a node of an entry, which may lack what makes one.
func (d Dir) listed(ctx context.Context, e *nfsclient.EntryPlus) (Node, error) {
	if e.FH == nil || e.Attr == nil {
		return d.Lookup(ctx, e.Name)
	}
	return d.node(*e.FH, e.Attr), nil
}

// RemoveAll removes what has a name, and all that is in it. It is no error that nothing has it.
func (d Dir) RemoveAll(ctx context.Context, name string) error {
	n, err := d.Lookup(ctx, name)
	if err == nil && n.Mode.IsDir() {
		err = n.empty(ctx)
		if err == nil {
			_, err = d.t.client.Rmdir(ctx, d.fh, name)
		}
	} else if err == nil {
		_, err = d.t.client.Remove(ctx, d.fh, name)
	}
	if err = errno(err); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// empty removes all that is in a directory, whatever its mode.
func (n Node) empty(ctx context.Context) error {
	if n.Mode.Perm()&0o300 != 0o300 {
		if err := n.Chmod(ctx, Open); err != nil {
			return err
		}
	}
	nodes, err := n.List(ctx)
	for name := range nodes {
		if err == nil {
			err = n.RemoveAll(ctx, name)
		}
	}
	return err
}
