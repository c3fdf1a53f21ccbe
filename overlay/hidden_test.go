package overlay_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestHiddenLowerLinks removes and changes the names of one lower file in turn and
// looks at the link count of those that are left, before and after reopening.
func TestHiddenLowerLinks(t *testing.T) {
	tests := []struct {
		name  string
		steps []string // -NAME removes, +NAME copies up
	}{
		{"remove all", []string{"-a", "-b", "-c"}},
		{"remove, copy up, remove", []string{"-a", "+b", "-c", "-b"}},
		{"copy up, remove", []string{"+b", "-b", "-a", "-c"}},
		{"remove two, copy up the last", []string{"-c", "-a", "+b", "-b"}},
	}
	for _, of := range []string{"file", "file, reopened", "symlink", "symlink, reopened"} {
		for _, tt := range tests {
			t.Run(of+": "+tt.name, func(t *testing.T) {
				symlink, reopen := strings.CutSuffix(of, ", reopened")
				tr := newTree(t, 1)
				lower := tr.options.Lowers[0]
				if symlink == "symlink" {
					if err := os.Symlink("x", filepath.Join(lower, "a")); err != nil {
						t.Fatal(err)
					}
				} else {
					mustWrite(t, filepath.Join(lower, "a"), "x")
				}
				for _, name := range []string{"b", "c"} {
					if err := os.Link(filepath.Join(lower, "a"), filepath.Join(lower, name)); err != nil {
						t.Fatal(err)
					}
				}
				tr.open()
				for _, step := range tt.steps {
					tr.linkStep(step)
					if reopen {
						tr.reopen()
					}
					tr.wantLinks(step)
				}
				if left, err := os.ReadDir(filepath.Join(tr.options.Upper+".work", "index")); err != nil || len(left) != 0 {
					t.Errorf("the index holds %v (%v), want nothing", left, err)
				}
			})
		}
	}
}

func (tr *tree) linkStep(step string) {
	tr.t.Helper()
	var w overlay.Change
	name := step[1:]
	var err error
	if step[0] == '-' {
		err = tr.Remove(worker, tr.Root(), []byte(name), &w)
	} else {
		err = tr.Setattr(worker, tr.walk(name).ID, &overlay.SetAttr{SetMtime: overlay.ServerTime}, &w)
	}
	if err != nil {
		tr.t.Fatalf("%s: %v", step, err)
	}
}

// wantLinks checks that every name of the root counts them all.
func (tr *tree) wantLinks(after string) {
	tr.t.Helper()
	names := tr.list(tr.Root())
	for _, name := range names {
		if got := tr.walk(name).Nlink; got != uint32(len(names)) {
			tr.t.Errorf("after %s, %s has %d links, want %d", after, name, got, len(names))
		}
	}
}

// A lower file that has lost the last name that shows is gone, however many names it
// has in its layer, and however lately it was read.
func TestLastNameThatShows(t *testing.T) {
	tr := newTree(t, 2)
	mustWrite(t, tr.options.Lowers[1]+"/f", "lower")
	mustLink(t, tr.options.Lowers[1]+"/f", tr.options.Lowers[1]+"/g")
	mustWrite(t, tr.options.Lowers[0]+"/g", "covers the other name")
	tr.open()
	f := tr.walk("f")
	tr.read(f.ID)
	tr.remove(tr.Root(), "f")
	for range 2 {
		var a, d overlay.Attr
		wantErr(t, tr.Getattr(f.ID, &a), syscall.ESTALE)
		_, err := tr.Lookup(worker, f.ID, []byte("x"), &a, &d)
		wantErr(t, err, syscall.ESTALE)
		tr.reopen()
	}
}
