package nfs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// A directory that is only in a lower is copied up before a rename locks its
// parent.
func TestRenameIntoLowerDirectory(t *testing.T) {
	w := newLayered(t, []string{"d/", "d/x=", "other/", "other/y="})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := w.Rename(ctx, w.root, "d", w.walk("other"), "d")
	w.want("rename", err, nfsclient.OK)
}

func TestLinkCountAfterCopyUpAndRestart(t *testing.T) {
	w := newLayered(t, []string{"a=content", "b==a", "d/", "d/c==a"})
	w.write(w.walk("b"), "CON")
	for _, restart := range []bool{false, true} {
		if restart {
			w.restart()
		}
		if got := w.attr(w.walk("a")).Nlink; got != 3 {
			t.Errorf("restart %v: got %d links, want 3", restart, got)
		}
	}
}

func TestRenameOverFullLowerDirectory(t *testing.T) {
	w := newLayered(t, []string{"other/", "other/x=precious"})
	w.mkdir(w.root, "d")
	_, err := w.Rename(t.Context(), w.root, "d", w.root, "other")
	w.want("rename", err, nfsclient.ErrNotEmpty, nfsclient.ErrExist)
	if got := w.content(w.walk("other/x")); got != "precious" {
		t.Errorf("got %q", got)
	}
}

// A verifier that differs in any bit is another.
func TestExclusiveEveryBit(t *testing.T) {
	w := newWorld(t)
	for _, v := range []nfsclient.Verf{{}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x7f, 2, 3, 4, 0x80, 6, 7, 8}} {
		name := fmt.Sprintf("%x", v)
		r, err := w.CreateExclusive(t.Context(), w.root, name, v)
		w.made("create "+name, r, err)
		_, err = w.CreateExclusive(t.Context(), w.root, name, v)
		w.want(name+" again", err, nfsclient.OK)
		for bit := range 64 {
			other := v
			other[bit/8] ^= 1 << (bit % 8)
			_, err := w.CreateExclusive(t.Context(), w.root, name, other)
			w.want(fmt.Sprintf("%s with %x", name, other), err, nfsclient.ErrExist)
		}
	}
}

// An optimised Nix store in a lower is full of files with several names.
func TestRenameDirectoryOfHardLinks(t *testing.T) {
	w := newLayered(t, []string{"d/", "d/a=5", "d/b==d/a"})
	_, err := w.Rename(t.Context(), w.root, "d", w.root, "x")
	w.must("rename", err)
	w.same("names", w.names(w.walk("x")), []string{"a", "b"})
}

func TestRenameSecondLowerName(t *testing.T) {
	w := newLayered(t, []string{"d/", "d/a=5", "d/b==d/a"})
	for _, name := range []string{"a", "b"} {
		_, err := w.Rename(t.Context(), w.walk("d"), name, w.root, name)
		w.want("rename "+name, err, nfsclient.OK)
	}
}
