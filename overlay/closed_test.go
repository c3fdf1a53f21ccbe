package overlay_test

import (
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestRemoveClosedDirectory removes a directory that its owner may not read, and lists
// one that a client can have opened before it was closed.
func TestRemoveClosedDirectory(t *testing.T) {
	asUser(t)
	for lowers := range 2 {
		tr := newTree(t, lowers).open()
		var a overlay.Attr
		var w overlay.Change
		mode := func(m uint32) *overlay.SetAttr { return &overlay.SetAttr{SetMode: true, Mode: m} }
		if err := tr.Mkdir(worker, tr.Root(), []byte("d"), mode(0o700), &a, &w); err != nil {
			t.Fatal(err)
		}
		tr.create(a.ID, "f", "")
		if err := tr.Setattr(worker, a.ID, mode(0), &w); err != nil {
			t.Fatal(err)
		}
		n := 0
		if _, err := tr.Readdir(worker, a.ID, 0, false, &overlay.Attr{}, func(*overlay.DirEntry) bool { n++; return true }); err != nil || n != 3 {
			t.Errorf("%d lowers: listed %d entries, %v; want 3", lowers, n, err)
		}
		if err := tr.Setattr(worker, a.ID, mode(0o700), &w); err != nil {
			t.Fatal(err)
		}
		if err := tr.Remove(worker, a.ID, []byte("f"), &w); err != nil {
			t.Fatal(err)
		}
		if err := tr.Setattr(worker, a.ID, mode(0), &w); err != nil {
			t.Fatal(err)
		}
		if got := tr.walk("d").Mode & 0o777; got != 0 {
			t.Errorf("%d lowers: mode is %o, want 0", lowers, got)
		}
		if err := tr.Rmdir(worker, tr.Root(), []byte("d"), &w); err != nil {
			t.Errorf("%d lowers: rmdir: %v", lowers, err)
		}
	}
}
