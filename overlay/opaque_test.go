package overlay_test

import (
	"slices"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestOpaqueStaysOpaque moves a name that a lower layer has into a directory that was
// cut off from its own lower one: that needs a whiteout there for a moment.
func TestOpaqueStaysOpaque(t *testing.T) {
	tr := newTree(t, 1)
	lower := tr.options.Lowers[0]
	mustWrite(t, lower+"/c/hidden", "x")
	mustWrite(t, lower+"/b", "b")
	tr.open()
	var w, w2 overlay.Change
	c := tr.walk("c").ID
	for _, step := range []struct{ from, to string }{{"c", "moved"}, {"moved", "c"}} {
		if err := tr.Rename(worker, tr.Root(), []byte(step.from), tr.Root(), []byte(step.to), &w, &w2); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Remove(worker, c, []byte("hidden"), &w); err != nil {
		t.Fatal(err)
	}
	if err := tr.Rename(worker, tr.Root(), []byte("b"), c, []byte("b"), &w, &w2); err != nil {
		t.Fatal(err)
	}
	tr.reopen()
	if got := tr.list(tr.walk("c").ID); !slices.Equal(got, []string{"b"}) {
		t.Errorf("c holds %q, want b alone", got)
	}
}
