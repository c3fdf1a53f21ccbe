package overlay_test

import (
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
	testenv.Require(t, mountSmall(t, disk), "a small file system cannot be mounted here")
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

// TestJournalCutShort empties the journal under a running server, as a shell does with
// ": > places": the server goes on, and handles work after a restart.
func TestJournalCutShort(t *testing.T) {
	tr := newTree(t, 0).open()
	before := tr.create(tr.Root(), "before", "before")
	if err := os.Truncate(filepath.Join(tr.options.State, "places"), 0); err != nil {
		t.Fatal(err)
	}
	after := tr.create(tr.Root(), "after", "after")
	more := tr.create(tr.Root(), "more", "more")
	tr.reopen()
	if got := tr.read(before.ID) + tr.read(after.ID) + tr.read(more.ID); got != "beforeaftermore" {
		t.Errorf("content: %q", got)
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
