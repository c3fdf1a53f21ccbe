package overlay_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestStats: each thing that is counted is counted once, where it happens.
func TestStats(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/d/f", "data")
	tr.open()
	before := tr.Stats()
	f, b := tr.walk("d", "f"), make([]byte, 4)
	var a overlay.Attr
	var w overlay.Change
	for range 3 {
		if _, _, err := tr.Read(worker, f.ID, b, 0, &a); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Write(worker, f.ID, []byte("other data"), 0, overlay.Unstable, &w); err != nil {
		t.Fatal(err)
	}
	tr.list(tr.walk("d").ID)
	tr.list(tr.walk("d").ID)
	after := tr.Stats()
	if after.Objects <= before.Objects || after.OpenFiles <= before.OpenFiles || after.ListingBytes == 0 {
		t.Errorf("got %+v, and before %+v", after, before)
	}
	after.Objects, after.OpenFiles, after.ListingBytes = 0, 0, 0
	want := overlay.Stats{
		FileHits: 2, FileMisses: 2, // opened to read, and the copy to write
		ListingHits: 1, ListingMisses: 1,
		CopyUps: 2, CopiedBytes: 4, // the directory and the file
	}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Error(diff)
	}
	if _, _, err := tr.Read(worker, f.ID, b, 0, &a); err != nil {
		t.Fatal(err)
	}
	tr.reopen()
	if _, _, err := tr.Read(worker, f.ID, b, 0, &a); err != nil {
		t.Fatal(err)
	}
	if again := tr.Stats(); again.Loaded < 2 || again.FileHits != 0 {
		t.Errorf("after a start: %+v", again)
	}
}
