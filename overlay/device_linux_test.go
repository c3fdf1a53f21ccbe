package overlay_test

import (
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// A lower directory from elsewhere can hold the whiteouts that take root to make. Ours
// makes none by mistake.
func TestWhiteoutDevices(t *testing.T) {
	testenv.Require(t, os.Getuid() == 0, "only root makes devices")
	tr := newTree(t, 2)
	mustWrite(t, tr.options.Lowers[1]+"/d/f", "hidden")
	mustWrite(t, tr.options.Lowers[1]+"/d/g", "shows")
	mustMkdir(t, tr.options.Lowers[0]+"/d")
	if err := unix.Mknod(tr.options.Lowers[0]+"/d/f", unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	tr.open()
	d := tr.walk("d")
	if got := tr.list(d.ID); !slices.Equal(got, []string{"g"}) {
		t.Errorf("d holds %q", got)
	}
	_, err := tr.tryWalk("d", "f")
	wantErr(t, err, syscall.ENOENT)
	var a overlay.Attr
	var w overlay.Change
	wantErr(t, tr.Mknod(worker, d.ID, []byte("f"), overlay.ModeChar, 0, 0, &overlay.SetAttr{}, &a, &w), syscall.EPERM)
	if f := tr.create(d.ID, "f", "new"); tr.read(f.ID) != "new" {
		t.Errorf("made again, f reads %q", tr.read(f.ID))
	}
	tr.sameAsKernel()
}
