package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestFullDisk opens an overlay where there is no room for the journal, since a full
// store has to be served to be emptied, and lets names go from it.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	testenv.Require(t, mountSmall(t, disk, "1m"), "a small file system cannot be mounted here")
	tr := &tree{t: t, options: overlay.Options{Upper: filepath.Join(disk, "upper"), State: filepath.Join(disk, "state")}}
	mustMkdir(t, tr.options.Upper)
	mustWrite(t, filepath.Join(tr.options.Upper, "f"), "f")
	mustMkdir(t, tr.options.Upper+".work/index")
	mustMkdir(t, tr.options.Upper+".work/silly")
	mustMkdir(t, tr.options.State)
	fill(t, filepath.Join(tr.options.Upper, "fill"))
	tr.open()
	var w overlay.Change
	if err := tr.Remove(worker, tr.Root(), []byte("fill"), &w); err != nil {
		t.Fatal(err)
	}
	if got := tr.read(tr.walk("f").ID); got != "f" {
		t.Errorf("f holds %q", got)
	}
	tr.reopen()
}

// TestDiskWithRoomAgain fills the disk under an overlay, and makes room: what clients were told
// of meanwhile stays in memory until the journal can have it.
func TestDiskWithRoomAgain(t *testing.T) {
	const files = 4000
	disk := t.TempDir()
	testenv.Require(t, mountSmall(t, disk, "16m"), "a small file system cannot be mounted here")
	tr := &tree{t: t, options: overlay.Options{
		Upper: filepath.Join(disk, "upper"), State: filepath.Join(disk, "state"), MaxNodes: fewNodes,
	}}
	for i := range files {
		mustWrite(t, filepath.Join(tr.options.Upper, "d", fmt.Sprint(i)), "")
	}
	filling := filepath.Join(tr.options.Upper, "fill")
	mustWrite(t, filling, "")
	fill(t, filling)
	tr.open()
	var ids []overlay.ID
	for i := range files {
		if i == files/4 {
			if err := os.Truncate(filling, 0); err != nil {
				t.Fatal(err)
			}
		}
		ids = append(ids, tr.walk("d", fmt.Sprint(i)).ID)
	}
	if n := tr.CountNodes(); n > files/4 {
		t.Errorf("%d nodes are still in memory", n)
	}
	for range 2 {
		for _, id := range ids {
			var a overlay.Attr
			if err := tr.Getattr(id, &a); err != nil || a.ID != id {
				t.Fatalf("%v is %v, %v", id, a.ID, err)
			}
		}
		tr.reopen()
	}
}

// TestJournalCutShort empties a file of the journal under a running server, as a shell does
// with ": > index": the server goes on, and handles work after a restart.
func TestJournalCutShort(t *testing.T) {
	for _, name := range []string{"index", "1"} {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t, 0).open()
			before := tr.create(tr.Root(), "before", "before")
			if err := os.Truncate(filepath.Join(tr.options.State, "places", name), 0); err != nil {
				t.Fatal(err)
			}
			after := tr.create(tr.Root(), "after", "after")
			more := tr.create(tr.Root(), "more", "more")
			tr.reopen()
			if got := tr.read(before.ID) + tr.read(after.ID) + tr.read(more.ID); got != "beforeaftermore" {
				t.Errorf("content: %q", got)
			}
		})
	}
}

// fill writes to a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
}
