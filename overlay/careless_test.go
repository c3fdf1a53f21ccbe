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
