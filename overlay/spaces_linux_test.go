package overlay_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// Lower directories on several file systems can change places, and others come between
// them: IDs stay, also those from before copy-up, and handles go on.
func TestLowersChangePlaces(t *testing.T) {
	tr := newTree(t, 3)
	for _, lower := range tr.options.Lowers {
		err := syscall.Mount("tmpfs", lower, "tmpfs", 0, "size=1m")
		testenv.Require(t, err == nil, fmt.Sprintf("cannot mount a tmpfs: %v", err))
		t.Cleanup(func() {
			if err := syscall.Unmount(lower, 0); err != nil {
				t.Error(err)
			}
		})
	}
	for i, lower := range tr.options.Lowers {
		writeTree(t, lower, fmt.Sprintf("d%d/f=%d d%d/g=%d", i, i, i, i))
	}
	all := tr.options.Lowers
	tr.options.Lowers = all[:2]
	tr.open()
	tr.write(tr.walk("d0", "g").ID, "new")
	tr.steps("mv d1 e")
	paths := [][]string{{"d0"}, {"d0", "f"}, {"d0", "g"}, {"e"}, {"e", "f"}}
	known := make([]overlay.ID, len(paths))
	for i, path := range paths {
		known[i] = tr.walk(path...).ID
	}
	for _, lowers := range [][]string{{all[1], all[0]}, {all[2], all[1], all[0]}, all} {
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		tr.options.Lowers = lowers
		tr.open()
		for i, path := range paths {
			var a overlay.Attr
			if err := tr.Getattr(known[i], &a); err != nil {
				t.Errorf("over %q, the handle of %q: %v", lowers, path, err)
			}
			if got := tr.walk(path...); got.ID != known[i] {
				t.Errorf("over %q, %q is %v, was %v", lowers, path, got.ID, known[i])
			}
		}
		if got := tr.list(known[3]); !slices.Equal(got, []string{"f", "g"}) {
			t.Errorf("over %q, e holds %q", lowers, got)
		}
	}
}
