package overlay_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

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

// TestRestoredUpper: a file that a backup has brought back into the upper is not taken for the
// copy that the index still has, nor does it lose what is written to it.
func TestRestoredUpper(t *testing.T) {
	tr := newTree(t, 1)
	a := filepath.Join(tr.options.Lowers[0], "a")
	mustWrite(t, a, "low")
	mustLink(t, a, filepath.Join(tr.options.Lowers[0], "b"))
	tr.open()
	tr.write(tr.walk("a").ID, "old")
	tr.close()
	up := filepath.Join(tr.options.Upper, "a")
	restore(t, up, "bak")
	tr.open()
	tr.wantReads("a", "bak", "b", "old")
	tr.write(tr.walk("a").ID, "new")
	tr.reopen()
	tr.wantReads("a", "new", "b", "old")
	tr.close()
	if got, err := os.ReadFile(up); string(got) != "new" {
		t.Errorf("the upper holds %q, %v", got, err)
	}
	tr.wantFsck([]string{"shared-origin upper/a"}, nil)
	tr.open()
	tr.wantReads("a", "new", "b", "old")
}

// restore makes a file anew, with its mark of what it was copied up from.
func restore(t *testing.T, path, data string) {
	t.Helper()
	origin := make([]byte, 17)
	if _, err := unix.Getxattr(path, markOrigin, origin); err != nil {
		t.Fatal(err)
	}
	mustRemove(t, path)
	mustWrite(t, path, data)
	mark(t, path, markOrigin, string(origin))
}

func (tr *tree) wantReads(namesAndData ...string) {
	tr.t.Helper()
	for i := 0; i < len(namesAndData); i += 2 {
		if got := tr.read(tr.walk(namesAndData[i]).ID); got != namesAndData[i+1] {
			tr.t.Errorf("%s holds %q, want %q", namesAndData[i], got, namesAndData[i+1])
		}
	}
}
