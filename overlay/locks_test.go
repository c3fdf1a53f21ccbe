package overlay_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// Locks that are handed on keep others out all the time, and are the successor's.
func TestLocksAreHandedOn(t *testing.T) {
	dir := t.TempDir()
	o := overlay.Options{Upper: filepath.Join(dir, "upper"), State: filepath.Join(dir, "state")}
	if err := os.Mkdir(o.Upper, 0o755); err != nil {
		t.Fatal(err)
	}
	refused := func(when string) {
		t.Helper()
		var locked *overlay.LockedError
		if fs, err := overlay.Open(o); !errors.As(err, &locked) {
			t.Errorf("%s: another one is let in: %v, %v", when, fs, err)
		}
	}
	first, err := overlay.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	locks, err := first.Locks()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	refused("closed, with its locks kept")
	successor := o
	successor.Locks = locks
	second, err := overlay.Open(successor)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range locks {
		f.Close()
	}
	refused("the successor has them")
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	third, err := overlay.Open(o)
	if err != nil {
		t.Fatalf("after the successor's end: %v", err)
	}
	if err := third.Close(); err != nil {
		t.Error(err)
	}
}
