package setup

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/hook"
	"github.com/nixnfsd/nixnfsd/internal/shell"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/launchd"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
)

// receipts are those of a plan that was carried out on a machine where nothing
// was before, and the files as they are then.
func receipts(p *Plan) (root, user Receipt, now Digests) {
	now = Digests{}
	root.Exports, user.Exports = []string{"/nix"}, []string{"/nix"}
	for _, s := range p.Steps {
		if s.Run != nil {
			continue
		}
		c := Change{Path: s.Path, Dir: s.Mode.IsDir(), Digest: "as written"}
		if !c.Dir {
			now[s.Path] = c.Digest
		}
		if s.Root {
			root.Note(c)
		} else {
			user.Note(c)
		}
	}
	return root, user, now
}

func TestUndoPlans(t *testing.T) {
	hooked := linuxDone(t)
	hooked.Hooks = []hook.File{{Path: "/home/you/.profile", Shell: shell.Bash}}
	tt := []struct {
		name   string
		config *Config
		fresh  *Seen
		done   *Seen
		store  []StoreDir // that goes
	}{
		{"macos-undo", macConfig(), mac(14, 0, ""), macDone(t), []StoreDir{{"/Users/you/Library/nixnfsd/upper", 1234, 5 << 30}, {Path: "/Users/you/Library/nixnfsd/work"}}},
		{"macos-undo-store-kept", macConfig(), mac(14, 0, ""), macDone(t), nil},
		{"linux-undo", linuxConfig(), linuxFresh(), hooked, nil},
	}
	for _, tc := range tt {
		p, err := New(tc.config, tc.fresh)
		if err != nil {
			t.Fatal(err)
		}
		root, user, now := receipts(p)
		user.Store = tc.config.storeDirs()
		back := Undo(tc.config, tc.done, root, user, now, tc.store)
		checkPlan(t, tc.name, back)
		testenv.Golden(t, filepath.Join("testdata", tc.name+".txt"), back.Text(), *update)
	}
}

// TestUndoNothing has no receipt, and a machine where half is gone.
func TestUndoNothing(t *testing.T) {
	if p := Undo(macConfig(), mac(14, 0, ""), Receipt{}, Receipt{}, Digests{}, nil); len(p.Steps) != 0 {
		t.Errorf("there is something to do: %s", p.Text())
	}
	c := macConfig()
	done := macDone(t)
	done.Runs[launchd.ServerLabel] = false
	p := Undo(c, done, Receipt{}, Receipt{}, Digests{c.places().server: "as written"}, nil)
	if strings.Contains(p.Text(), "bootout") {
		t.Errorf("what does not run is ended: %s", p.Text())
	}
}

// TestUndoLineAmongOthers has only our line go from a manifest that others have
// changed since.
func TestUndoLineAmongOthers(t *testing.T) {
	seen := mac(10, 15, "run\tx\nnix\nopt\n")
	root := Receipt{Exports: []string{"/nix"}, Changes: []Change{{Path: synthetic.Conf, Before: &File{Mode: 0o600, Content: []byte("run\tx\n")}, Digest: "as written"}}}
	p := Undo(macConfig(), seen, root, Receipt{}, Digests{synthetic.Conf: "changed since"}, nil)
	s := p.Steps[len(p.Steps)-1]
	if len(p.Steps) != 2 || string(s.Content) != "run\tx\nopt\n" || s.Mode != 0o600 || s.Remove {
		t.Errorf("got %+v", p.Steps)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "restart") {
		t.Errorf("notes: %q", p.Notes)
	}
}
