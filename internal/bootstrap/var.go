package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/nfstree"
)

// LinkVar has the tree's var lead to dir, which is made, where there is no var yet; dir may be empty: Nix
// makes it in the tree then. It tells whether var leads out of the tree.
func LinkVar(ctx context.Context, tree *nfstree.Tree, dir string) (apart bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("have /nix/var be %s: %w", dir, err)
		}
	}()
	n, err := tree.Root().Lookup(ctx, "var")
	switch {
	case err == nil:
		return n.Mode&fs.ModeSymlink != 0, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	case dir == "":
		return false, nil
	}
	if err := CheckVar(dir); err != nil {
		return false, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	return true, tree.Root().Symlink(ctx, "var", dir)
}

// CheckVar says why a directory is none that /nix/var can lead to.
func CheckVar(dir string) error {
	if strings.ContainsAny(dir, " \t\n") || strings.HasPrefix(dir+"/", "/nix/") {
		return errors.New("give a directory without blanks, and not in the mount: builds and sockets would not work")
	}
	return nil
}
