package overlay

import (
	"fmt"
	"testing"
)

// A call that does not end keeps in memory what was used since; it is told once, others
// are served, and when it has ended there are no more objects than there should be.
func TestCrowd(t *testing.T) {
	var names []string
	for i := range 400 {
		names = append(names, fmt.Sprint("f", i))
	}
	fs := openOver(t, names...)
	fs.nodes.limit = 16
	fs.nodes.enough.Store(16)
	var told []error
	fs.warn = func(err error) { told = append(told, err) }
	meet := func() {
		for _, name := range names {
			var a, dir Attr
			if _, err := fs.Lookup(blocking, fs.Root(), []byte(name), &a, &dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	stuck := fs.enter(fs.Root())
	meet()
	meet()
	if n := fs.nodes.count.Load(); n < int64(len(names)) {
		t.Errorf("%d nodes are in memory beside a call that may have them in hand", n)
	}
	if len(told) != 1 {
		t.Errorf("told %q", told)
	}
	leave(stuck)
	fs.sweepAgain()
	meet()
	if n := fs.nodes.count.Load(); n > 2*fs.nodes.limit {
		t.Errorf("%d nodes are in memory", n)
	}
	if fs.nodes.crowded || len(told) != 1 {
		t.Errorf("told %q, crowded: %v", told, fs.nodes.crowded)
	}
}

// sweepAgain sweeps as if there were some more nodes.
func (fs *FS) sweepAgain() {
	for range 4 {
		fs.nodes.enough.Store(0)
		fs.sweep()
	}
}

// Who is at one object can have to find out where another one is whose mu is held by
// who waits for the first.
func TestSettleBesideChange(t *testing.T) {
	fs := openOver(t, "f")
	var a, dir Attr
	if _, err := fs.Lookup(blocking, fs.Root(), []byte("f"), &a, &dir); err != nil {
		t.Fatal(err)
	}
	n := fs.nodes.get(a.ID)
	n.loose.Store(true)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := fs.settlePlaces(n); err != nil || n.loose.Load() {
		t.Errorf("loose: %v, %v", n.loose.Load(), err)
	}
}

// What was written to a journal that is lost cannot be made again: it stays in memory.
func TestLostJournalKeepsNodes(t *testing.T) {
	fs := openOver(t, "f", "g", "h")
	var a, dir Attr
	for _, name := range []string{"f", "g", "h"} {
		if _, err := fs.Lookup(blocking, fs.Root(), []byte(name), &a, &dir); err != nil {
			t.Fatal(err)
		}
	}
	j := fs.journal
	j.mu.Lock()
	index := j.index
	j.index, j.err = nil, errCutShort
	j.mu.Unlock()
	t.Cleanup(func() { index.close() })
	before := fs.nodes.count.Load()
	fs.nodes.limit = 0
	fs.sweepAgain()
	if n := fs.nodes.count.Load(); n != before || n == 0 {
		t.Errorf("of %d nodes are left %d", before, n)
	}
}

// To find out where the places are of a file with many names takes work for each of them once.
func TestSettleManyNames(t *testing.T) {
	const names = 500
	fs := openOver(t, "f")
	var a, dir Attr
	if _, err := fs.Lookup(blocking, fs.Root(), []byte("f"), &a, &dir); err != nil {
		t.Fatal(err)
	}
	for i := range names {
		var w Change
		if _, err := fs.Link(blocking, a.ID, fs.Root(), fmt.Append(nil, i), &a, &w); err != nil {
			t.Fatal(err)
		}
	}
	n := fs.nodes.get(a.ID)
	known := n.countPlaces()
	allocs := testing.AllocsPerRun(1, func() {
		n.loose.Store(true)
		if err := fs.settlePlaces(n); err != nil {
			t.Error(err)
		}
	})
	if most := 10.0 * names; allocs > most || n.countPlaces() != known {
		t.Errorf("%v allocations, want %v at most; %d places, want %d", allocs, most, n.countPlaces(), known)
	}
}
