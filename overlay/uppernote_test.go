package overlay_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestWorkOfAnotherUpper: neither a server nor fsck takes a work directory that is another
// upper's, or none.
func TestWorkOfAnotherUpper(t *testing.T) {
	tr, other := newTree(t, 0), newTree(t, 0)
	tr.open()
	tr.close()
	other.options.Work = tr.options.Upper + ".work"
	_, err := overlay.Open(other.options)
	wantUnfit(t, err, other.options.Work, "another upper, "+tr.options.Upper)
	other.options.ReadOnly = true
	_, err = overlay.Open(other.options)
	wantUnfit(t, err, other.options.Work, "another upper")
	for work, want := range map[string]string{
		other.options.Work: "another upper",
		t.TempDir():        "never",
		"/none":            "cannot be opened",
	} {
		other.options.Work = work
		err := overlay.Fsck(t.Context(), other.options, true, func(p overlay.Problem) { t.Errorf("found %+v", p) })
		wantUnfit(t, err, work, want)
	}
}

func wantUnfit(t *testing.T, err error, dir, reason string) {
	t.Helper()
	if unfit := (*overlay.UnfitError)(nil); !errors.As(err, &unfit) || unfit.Dir != dir || !strings.Contains(unfit.Reason, reason) {
		t.Errorf("got %v, want that %s %s", err, dir, reason)
	}
}

// TestMovedUpper: an upper that was moved, or made anew at its path, has its work directory still.
func TestMovedUpper(t *testing.T) {
	tr := newTree(t, 0)
	tr.open()
	tr.create(tr.Root(), "a", "data")
	tr.close()
	to := filepath.Join(t.TempDir(), "moved")
	mustMove(t, tr.options.Upper, to)
	mustMove(t, tr.options.Upper+".work", to+".work")
	tr.options.Upper = to
	tr.wantFsck(nil, nil)
	tr.open()
	tr.close()
	mustMove(t, to, to+".backup")
	mustMkdir(t, to)
	tr.wantFsck(nil, nil)
	tr.open()
}
