package overlay_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// A lower that is unmounted is still served, as long as the server has it open, and said
// to be gone from its place.
func TestLowerUnmounted(t *testing.T) {
	testenv.Require(t, os.Getuid() == 0, "mounting a file system needs root")
	tr := newTree(t, 2)
	tr.spoilt = true
	lower := tr.options.Lowers[0]
	must(t, unix.Mount("tmpfs", lower, "tmpfs", 0, ""))
	mounted := true
	t.Cleanup(func() {
		if mounted {
			must(t, unix.Unmount(lower, unix.MNT_DETACH))
		}
	})
	mustWrite(t, lower+"/d/f", "old")
	mustWrite(t, tr.options.Lowers[1]+"/d/g", "other")
	tr.open()
	f, d := tr.walk("d", "f"), tr.walk("d")
	if l := tr.Layers()[1]; l.FileSystem != "tmpfs" || len(l.Problems) > 0 {
		t.Errorf("layer is %+v", l)
	}
	must(t, unix.Unmount(lower, unix.MNT_DETACH))
	mounted = false
	for range 2 {
		if got := tr.read(f.ID) + tr.readName("d", "g"); got != "oldother" {
			t.Errorf("read %q", got)
		}
		tr.create(d.ID, "new", "new")
		tr.remove(d.ID, "new")
		if p := tr.Layers()[1].Problems; len(p) != 1 || !strings.HasPrefix(p[0].What, "another directory is at its path now") {
			t.Errorf("problems are %q", p)
		}
		tr.mustRefresh()
	}
}

// Where a lower's file system fails there are errors, and no names missing without one;
// the rest goes on.
func TestLowerFails(t *testing.T) {
	testenv.Require(t, os.Getuid() == 0, "mounting a file system needs root")
	tr, lower := changing(t)
	tr.list(tr.walk("d").ID)
	f := tr.walk("d", "f")
	mountDead(t, lower+"/d")
	tr.mustRefresh()
	d := tr.walk("d") // of which the upper has a part
	var a overlay.Attr
	_, err := tr.Readdir(worker, d.ID, 0, false, &a, func(*overlay.DirEntry) bool { return true })
	if err == nil || err == unix.ENOENT || err == unix.ESTALE {
		t.Errorf("listing a directory that cannot be known gives %v", err)
	}
	if err := tr.Getattr(f.ID, &a); err == nil {
		t.Error("what is in it is still there")
	}
	tr.create(tr.Root(), "more", "more")
	if got := tr.list(tr.Root()); len(got) != 2 {
		t.Errorf("the root holds %q", got)
	}
	must(t, unix.Unmount(lower+"/d", unix.MNT_DETACH))
	tr.mustRefresh()
	if got := tr.readName("d", "f") + tr.read(f.ID); got != "oldold" {
		t.Errorf("when it is back, f reads %q", got)
	}
}

// mountDead mounts a file system of which every call fails: FUSE without a server.
func mountDead(t *testing.T, dir string) {
	t.Helper()
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	testenv.Require(t, err == nil, "there is no FUSE")
	defer fuse.Close()
	must(t, unix.Mount("dead", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse.Fd())))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}
