package overlay_test

import (
	"fmt"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// sillyRenames are what clients do with open files that are removed.
func sillyRenames() (all []scene) {
	for _, at := range everywhere {
		for _, kind := range []string{"file", "linked", "symlink", "fifo"} {
			sc := scene{lowers: lowersFor(at), layers: layersWith(at, kind)}
			hide := sc
			hide.name, hide.op = fmt.Sprintf("hide %s %s", at, kind), appleRename("x", appleSilly)
			all = append(all, hide)
			sc.before = func(tr *tree) {
				if err := appleRename("x", appleSilly)(tr)(); err != nil {
					tr.t.Fatal(err)
				}
			}
			closed, revealed := sc, sc
			closed.name, closed.op = fmt.Sprintf("remove hidden %s %s", at, kind), remove("d", appleSilly)
			revealed.name, revealed.op = fmt.Sprintf("rename hidden %s %s", at, kind), appleRename(appleSilly, "x")
			all = append(all, closed, revealed)
		}
	}
	return all
}

// appleRename is a rename in d by Apple's client.
func appleRename(from, to string) func(tr *tree) func() error {
	return func(tr *tree) func() error {
		id, c := tr.walk("d").ID, worker
		c.Apple = true
		return func() error {
			return tr.Rename(c, id, []byte(from), id, []byte(to), new(overlay.Change), new(overlay.Change))
		}
	}
}
