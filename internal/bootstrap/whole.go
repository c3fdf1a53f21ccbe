package bootstrap

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/nixnfsd/nixnfsd/internal/nar"
	"github.com/nixnfsd/nixnfsd/internal/nfstree"
)

// whole reports whether a node is what is registered. It reads all of it.
func (u *unpacker) whole(n nfstree.Node, p registered) (bool, error) {
	h := sha256.New()
	err := archive(u.ctx, nar.NewWriter(h), n)
	if errors.Is(err, errForeign) {
		return false, nil
	}
	return nar.Hash(h.Sum(nil)) == p.hash, err
}

// errForeign is of what is in no archive.
var errForeign = errors.New("it is neither a file nor a directory nor a symbolic link")

func archive(ctx context.Context, w *nar.Writer, n nfstree.Node) error {
	switch {
	case n.Mode.IsDir():
		nodes, err := n.List(ctx)
		if err != nil {
			return err
		}
		return w.Directory(slices.Collect(maps.Keys(nodes)), func(name string) error { return archive(ctx, w, nodes[name]) })
	case n.Mode&fs.ModeSymlink != 0:
		target, err := n.Readlink(ctx)
		if err != nil {
			return err
		}
		return w.Symlink(target)
	case n.Mode.IsRegular():
		return archiveFile(ctx, w, n)
	}
	return errForeign
}

func archiveFile(ctx context.Context, w *nar.Writer, n nfstree.Node) error {
	r, content := io.Pipe()
	go func() { content.CloseWithError(n.Read(ctx, content)) }()
	defer r.Close()
	return w.Regular(n.Size, n.Mode&0o100 != 0, r)
}
