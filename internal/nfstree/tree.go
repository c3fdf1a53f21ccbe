package nfstree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// ErrRestarted is a Commit's where the server that was written to is another one by now.
var ErrRestarted = errors.New("the server was started anew meanwhile")

// blockSize is of one READ and WRITE.
const blockSize = 1 << 20

// Tree is an exported tree.
type Tree struct {
	client  *nfsclient.Client
	root    nfsclient.FH
	written []written
	block   []byte
}

// written is a file that is not known to be on the disk.
type written struct {
	fh   nfsclient.FH
	verf nfsclient.Verf
}

// Dial connects to the server at a TCP address, as the user of this process.
func Dial(ctx context.Context, addr, export string) (*Tree, error) {
	client, err := nfsclient.Dial(ctx, addr, nfsclient.Options{Cred: nfsclient.Self()})
	if err != nil {
		return nil, err
	}
	mnt, err := client.Mnt(ctx, export)
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("ask the server at %s for %s: %w", addr, export, errno(err))
	}
	return &Tree{client: client, root: mnt.FH}, nil
}

// Close ends the connection, also for those who were given it by Fork.
func (t *Tree) Close() error { return t.client.Close() }

// Fork gives a Tree for another goroutine.
func (t *Tree) Fork() *Tree { return &Tree{client: t.client, root: t.root} }

// Root is the directory that is exported.
func (t *Tree) Root() Dir { return Dir{t, t.root} }

// Commit returns when all that was written is on the disk.
func (t *Tree) Commit(ctx context.Context) error {
	const atOnce = 32
	files := t.written
	t.written = nil
	for len(files) > 0 {
		n := min(len(files), atOnce)
		if err := t.commit(ctx, files[:n]); err != nil {
			return fmt.Errorf("write to the disk: %w", errno(err))
		}
		files = files[n:]
	}
	return nil
}

func (t *Tree) commit(ctx context.Context, files []written) error {
	calls := make([]*nfsclient.Pending, len(files))
	for i, f := range files {
		calls[i] = t.client.Queue(&nfsclient.CommitArgs{FH: f.fh})
	}
	t.client.Flush()
	for i, f := range files {
		var r nfsclient.CommitRes
		if err := calls[i].Into(ctx, &r); err != nil {
			return err
		}
		if r.Verf != f.verf {
			return ErrRestarted
		}
	}
	return nil
}

// buffer gives room for one block.
func (t *Tree) buffer() []byte {
	if t.block == nil {
		t.block = make([]byte, blockSize)
	}
	return t.block
}

// Node is what has a name.
type Node struct {
	Dir  // what it is where Mode says so; else only to be read, or given another name
	Mode fs.FileMode
	Size int64 // bytes
	// Time is the mtime in seconds.
	Time uint32
	// Fileid tells one object from another, Links how many names it has.
	Fileid uint64
	Links  uint32

	unsynced *written // of one that was written and may not be on the disk
}

func (d Dir) node(fh nfsclient.FH, a *nfsclient.Attr) Node {
	mode := fs.FileMode(a.Mode & 0o777)
	switch a.Type {
	case nfsclient.Reg:
	case nfsclient.Dir:
		mode |= fs.ModeDir
	case nfsclient.Lnk:
		mode |= fs.ModeSymlink
	default:
		mode |= fs.ModeIrregular
	}
	return Node{Dir: Dir{d.t, fh}, Mode: mode, Size: int64(a.Size), Time: a.Mtime.Sec, Fileid: a.Fileid, Links: a.Nlink}
}

// Read copies the content of a regular file to w.
func (n Node) Read(ctx context.Context, w io.Writer) error {
	for off := uint64(0); ; {
		r, err := n.t.client.Read(ctx, n.fh, off, blockSize)
		if err != nil {
			return errno(err)
		}
		if _, err := w.Write(r.Data); err != nil {
			return err
		}
		off += uint64(len(r.Data))
		if r.EOF {
			return nil
		}
		if len(r.Data) == 0 {
			return io.ErrNoProgress
		}
	}
}

// Holds tells whether the file at a path of names holds a text, and nothing else. That nothing is there is
// no error.
func (d Dir) Holds(ctx context.Context, text string, path ...string) (bool, error) {
	n := Node{Dir: d}
	var err error
	for _, name := range path {
		if n, err = n.Lookup(ctx, name); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	if n.Size != int64(len(text)) {
		return false, nil
	}
	var b strings.Builder
	err = n.Read(ctx, &b)
	return b.String() == text, err
}

// Readlink gives a symbolic link's target.
func (n Node) Readlink(ctx context.Context) (string, error) {
	r, err := n.t.client.Readlink(ctx, n.fh)
	return r.Target, errno(err)
}

// errnos are what refusals of the server are called on this machine.
var errnos = map[nfsclient.Status]syscall.Errno{
	nfsclient.ErrPerm: syscall.EPERM, nfsclient.ErrNoEnt: syscall.ENOENT, nfsclient.ErrIO: syscall.EIO, nfsclient.ErrAcces: syscall.EACCES,
	nfsclient.ErrExist: syscall.EEXIST, nfsclient.ErrNotDir: syscall.ENOTDIR, nfsclient.ErrIsDir: syscall.EISDIR, nfsclient.ErrInval: syscall.EINVAL,
	nfsclient.ErrFBig: syscall.EFBIG, nfsclient.ErrNoSpc: syscall.ENOSPC, nfsclient.ErrROFS: syscall.EROFS, nfsclient.ErrMLink: syscall.EMLINK,
	nfsclient.ErrNameTooLong: syscall.ENAMETOOLONG, nfsclient.ErrNotEmpty: syscall.ENOTEMPTY, nfsclient.ErrDQuot: syscall.EDQUOT,
	nfsclient.ErrStale: syscall.ESTALE,
}

// errno gives a refusal the name that programs of this machine know.
func errno(err error) error {
	var s nfsclient.Status
	if errors.As(err, &s) {
		if e, ok := errnos[s]; ok {
			return e
		}
	}
	return err
}
