package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestAmendAtOnce has many change a receipt at once, which forgets nothing.
func TestAmendAtOnce(t *testing.T) {
	const many, each = 8, 5
	file := filepath.Join(t.TempDir(), "state", "nixnfsd", "setup.json")
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			for j := range each {
				path := fmt.Sprintf("/made/%d/%d", i, j)
				if err := Amend(file, func(r *Receipt) { r.Note(Change{Path: path, Dir: true}) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	r, err := ReadReceipt(file)
	if err != nil || len(r.Changes) != many*each {
		t.Errorf("%d changes, want %d: %v", len(r.Changes), many*each, err)
	}
	if err := Amend(file, func(r *Receipt) { r.Changes = nil }); err != nil || !absent(filepath.Dir(filepath.Dir(file))) {
		t.Errorf("something is left: %v", err)
	}
}

// TestAtOnce has some set up while others take back: what is there at last the receipt tells of.
func TestAtOnce(t *testing.T) {
	m := newMachine(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { _ = m.apply(m.steps()) }) // a directory may be taken away that it needs
		all.Go(func() {
			r, err := ReadReceipt(m.receipt)
			now := Digests{}
			if err == nil {
				err = now.Digest(r)
			}
			if err != nil {
				t.Error(err)
			}
			_ = m.apply(Undo(linuxConfig(), &Seen{}, Receipt{}, r, now, nil).Steps)
		})
	}
	all.Wait()
	m.uninstall()
}

// TestKeptDirectory has a directory be removed in which another verb has put a file meanwhile, which the
// receipt tells of: it goes with that.
func TestKeptDirectory(t *testing.T) {
	m := newMachine(t)
	if err := m.apply(m.steps()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"a/b", "a"} {
		if err := m.apply([]Step{{Path: filepath.Join(m.dir, dir), Mode: fs.ModeDir, Remove: true, Undo: true}}); err != nil {
			t.Fatal(err)
		}
	}
	m.uninstall()
}

// TestLinksStay has a user's link lead to the directory of a receipt that is empty at last, and one be in the
// place of a directory that was made.
func TestLinksStay(t *testing.T) {
	m := newMachine(t)
	in := func(name string) string { return filepath.Join(m.dir, name) }
	if err := errors.Join(os.Mkdir(in("real"), 0o700), os.Symlink("real", in("state"))); err != nil {
		t.Fatal(err)
	}
	if err := m.apply([]Step{{Path: in("made"), Mode: fs.ModeDir | 0o755}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(in("made")), os.Symlink("real", in("made"))); err != nil {
		t.Fatal(err)
	}
	if err := m.apply(m.undo().Steps); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"state", "made"} {
		if target, err := os.Readlink(in(link)); err != nil || target != "real" {
			t.Errorf("%s leads to %q: %v", link, target, err)
		}
	}
	if !absent(m.receipt) {
		t.Error("the receipt is left")
	}
}
