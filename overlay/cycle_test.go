package overlay_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// swapped gives an overlay over a lower directory in which d/e has become e/d behind
// the server, and the IDs of both.
func swapped(t *testing.T) (tr *tree, d, e overlay.ID) {
	tr = newTree(t, 1)
	lower := tr.options.Lowers[0]
	mustWrite(t, filepath.Join(lower, "d", "e", "x"), "low")
	tr.open()
	d, e = tr.walk("d").ID, tr.walk("d", "e").ID
	mustMove(t, filepath.Join(lower, "d", "e"), filepath.Join(lower, "e"))
	mustMove(t, filepath.Join(lower, "d"), filepath.Join(lower, "e", "d"))
	tr.mustRefresh()
	tr.walk("e", "d")
	return tr, d, e
}

// TestSwappedDirectories: directories that have been in each other are found after a restart.
func TestSwappedDirectories(t *testing.T) {
	tr, d, e := swapped(t)
	tr.reopen()
	tr.wantNames(e, "d", "x")
	tr.wantNames(d)
}

// TestSwappedAndRemoved: directories that have been in each other and are gone are stale.
func TestSwappedAndRemoved(t *testing.T) {
	tr, d, e := swapped(t)
	if err := os.RemoveAll(filepath.Join(tr.options.Lowers[0], "e")); err != nil {
		t.Fatal(err)
	}
	tr.mustRefresh()
	for _, id := range []overlay.ID{d, e} {
		var a, dir overlay.Attr
		if _, err := tr.Lookup(worker, id, []byte("x"), &a, &dir); err == nil {
			t.Errorf("%v is there", id)
		}
	}
}
