package overlay_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestStandingIsKept: on a file system whose clock stands still, a directory's mtime that was
// shown stays, over eviction and a restart. (tmpfs does not even stamp a removal.)
func TestStandingIsKept(t *testing.T) {
	tr := newTree(t, 0)
	tr.options.Upper = filepath.Join(fastDir(t), "upper")
	tr.options.MaxNodes = fewNodes
	mustMkdir(t, tr.options.Upper)
	tr.open()
	times := map[string]overlay.Time{}
	for i := range 10 * fewNodes {
		d := tr.mkdir(tr.Root(), fmt.Sprint("d", i), 0o755)
		for _, name := range []string{"a", "b", "c"} {
			tr.create(d.ID, name, "")
		}
		tr.remove(d.ID, "b")
		var a overlay.Attr
		if err := tr.Getattr(d.ID, &a); err != nil {
			t.Fatal(err)
		}
		times[fmt.Sprint("d", i)] = a.Mtime
	}
	check := func(when string) {
		t.Helper()
		for name, want := range times {
			if got := tr.walk(name).Mtime; got != want {
				t.Errorf("%s: %s has %v, had %v", when, name, got, want)
			}
		}
	}
	check("evicted")
	tr.reopen()
	check("after a restart")
}
