package overlay_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestOneWorkDirectory: two servers cannot have one work directory, nor can fsck and a server:
// each would sweep what the other has half made.
func TestOneWorkDirectory(t *testing.T) {
	tr, other := newTree(t, 0), newTree(t, 0)
	tr.options.Work = filepath.Join(filepath.Dir(tr.options.Upper), "work")
	other.options.Work = tr.options.Work
	tr.open()
	_, err := overlay.Open(other.options)
	wantLocked(t, err, tr.options.Work)
	wantLocked(t, overlay.Fsck(t.Context(), other.options, true, func(overlay.Problem) {}), tr.options.Work)
}

func wantLocked(t *testing.T, err error, dir string) {
	t.Helper()
	if locked := (*overlay.LockedError)(nil); !errors.As(err, &locked) || locked.Dir != dir {
		t.Errorf("got %v", err)
	}
}

// TestFsckOverEmptyLower: a lower directory that is not mounted is a reason to mend nothing.
func TestFsckOverEmptyLower(t *testing.T) {
	tr := newTree(t, 1)
	lower := tr.options.Lowers[0]
	mustWrite(t, filepath.Join(lower, "d", "x"), "low")
	mustWrite(t, filepath.Join(lower, "gone"), "low")
	tr.open()
	tr.remove(tr.Root(), "gone")
	tr.mustRename(tr.Root(), "d", tr.Root(), "e")
	tr.close()
	mustMove(t, lower, lower+".away")
	mustMkdir(t, lower)
	err := overlay.Fsck(t.Context(), tr.options, true, func(p overlay.Problem) { t.Errorf("found %v", p) })
	if unfit := (*overlay.UnfitError)(nil); !errors.As(err, &unfit) || unfit.Dir != lower || unfit.Mend == "" {
		t.Errorf("got %v", err)
	}
	mustRemove(t, lower)
	mustMove(t, lower+".away", lower)
	tr.open()
	tr.wantNames(tr.Root(), "e")
	tr.wantNames(tr.walk("e").ID, "x")
}
