package nfstree_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/internal/nfstree"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// newDirs makes what a server needs, and gives its upper.
func newDirs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, errors.Join(os.Mkdir(filepath.Join(dir, "upper"), 0o755), os.Mkdir(filepath.Join(dir, "state"), 0o700)))
	t.Cleanup(func() { must(t, exec.Command("chmod", "-R", "u+w", dir).Run()) })
	return filepath.Join(dir, "upper")
}

// serve runs a server over an upper until stop, or the test's end, and connects to it.
func serve(t *testing.T, upper string) (tree *nfstree.Tree, stop func()) {
	t.Helper()
	dir := filepath.Dir(upper)
	fsys, err := overlay.Open(overlay.Options{Upper: upper, Work: filepath.Join(dir, "work"), State: filepath.Join(dir, "state")})
	must(t, err)
	server, err := testserver.Serve(nfs.Options{FS: fsys})
	must(t, err)
	tree, err = nfstree.Dial(t.Context(), server.Addr, testserver.Export)
	must(t, err)
	return tree, func() { must(t, errors.Join(tree.Close(), server.Stop(), fsys.Close())) }
}

// newTree is a tree that is empty, and the upper that it is in.
func newTree(t *testing.T) (tree *nfstree.Tree, upper string) {
	t.Helper()
	upper = newDirs(t)
	tree, stop := serve(t, upper)
	t.Cleanup(stop)
	return tree, upper
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
