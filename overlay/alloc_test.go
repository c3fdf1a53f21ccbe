package overlay_test

import (
	"fmt"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// The calls that most of the load is made of make no garbage, whatever the layers.
func TestHotCallsDoNotAllocate(t *testing.T) {
	for lowers := range 2 {
		tr := newTree(t, lowers)
		mustWrite(t, append([]string{tr.options.Upper}, tr.options.Lowers...)[lowers]+"/d/f", "data")
		tr.open()
		d, f := tr.walk("d"), tr.walk("d", "f")
		name, b := []byte("f"), make([]byte, 4)
		var a, dir overlay.Attr
		var w overlay.Change
		calls := map[string]func() error{
			"getattr": func() error { return tr.Getattr(f.ID, &a) },
			"lookup":  func() error { _, err := tr.Lookup(worker, d.ID, name, &a, &dir); return err },
			"read":    func() error { _, _, err := tr.Read(worker, f.ID, b, 0, &a); return err },
		}
		if lowers == 0 {
			calls["write"] = func() error { return tr.Write(worker, f.ID, b, 0, overlay.Unstable, &w) }
		}
		for call, do := range calls {
			t.Run(fmt.Sprint(call, " with ", lowers, " lowers"), func(t *testing.T) {
				got := testing.AllocsPerRun(100, func() {
					if err := do(); err != nil {
						t.Fatal(err)
					}
				})
				if got != 0 {
					t.Errorf("got %v allocations", got)
				}
			})
		}
	}
}
