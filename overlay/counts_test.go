package overlay_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestCountsAtOnce: the links of a lower file with many names are counted right, also when
// several callers remove some at once, each in another directory, and one copies the file up.
func TestCountsAtOnce(t *testing.T) {
	needMarks(t)
	const names, rounds = 16, 12
	tests := []struct {
		name  string
		first func(tr *tree, a overlay.Attr) // before the names go
		also  func(tr *tree, a overlay.Attr) // meanwhile
	}{
		{"lower", nil, nil},
		{"copied up", chmod, nil},
		{"copied up meanwhile", nil, chmod},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, 1)
			for r := range rounds {
				plantLinks(t, tr.options.Lowers[0], r, names)
			}
			tr.open()
			for r := range rounds {
				round := fmt.Sprint("round", r)
				a := tr.walk(round, "d0", "f")
				if tt.first != nil {
					tt.first(tr, a)
				}
				var wg sync.WaitGroup
				if tt.also != nil {
					wg.Go(func() { tt.also(tr, a) })
				}
				for i := 1; i < names-1; i++ {
					d := tr.walk(round, fmt.Sprint("d", i))
					wg.Go(func() {
						var w overlay.Change
						if err := tr.Remove(worker, d.ID, []byte("f"), &w); err != nil {
							t.Errorf("remove: %v", err)
						}
					})
				}
				wg.Wait()
				if got := tr.walk(round, "d0", "f").Nlink; got != 2 {
					t.Errorf("%s: %d links, want 2", round, got)
				}
			}
			tr.close() // what is left is looked through when the test ends
		})
	}
}

func chmod(tr *tree, a overlay.Attr) {
	var w overlay.Change
	if err := tr.Setattr(worker, a.ID, &overlay.SetAttr{SetMode: true, Mode: 0o600}, &w); err != nil {
		tr.t.Errorf("chmod: %v", err)
	}
}

// plantLinks makes a file with a name in each of n directories.
func plantLinks(t *testing.T, dir string, round, n int) {
	t.Helper()
	name := func(i int) string { return filepath.Join(dir, fmt.Sprint("round", round), fmt.Sprint("d", i), "f") }
	mustWrite(t, name(0), "data")
	for i := 1; i < n; i++ {
		mustMkdir(t, filepath.Dir(name(i)))
		mustLink(t, name(0), name(i))
	}
}
