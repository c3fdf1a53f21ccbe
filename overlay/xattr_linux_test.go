package overlay_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// Copy-up takes the user's extended attributes along, but for the marks.
func TestCopyUpKeepsXattrs(t *testing.T) {
	tr := newTree(t, 1)
	low, up := tr.options.Lowers[0], tr.options.Upper
	mustWrite(t, low+"/d/f", "data")
	for _, path := range []string{low + "/d", low + "/d/f"} {
		err := unix.Setxattr(path, "user.mine", []byte("value"), 0)
		testenv.Require(t, err == nil, "no user extended attributes")
		if err := unix.Setxattr(path, "user.overlay.origin", []byte("other"), 0); err != nil {
			t.Fatal(err)
		}
	}
	tr.open()
	var w overlay.Change
	if err := tr.Setattr(worker, tr.walk("d", "f").ID, &overlay.SetAttr{SetMode: true, Mode: 0o600}, &w); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{up + "/d", up + "/d/f"} {
		b := make([]byte, 16)
		n, err := unix.Getxattr(path, "user.mine", b)
		if err != nil || string(b[:n]) != "value" {
			t.Errorf("%s has %q, %v", path, b[:max(n, 0)], err)
		}
		if _, err := unix.Getxattr(path, "user.overlay.origin", b); err != unix.ENODATA {
			t.Errorf("%s has another overlay's mark: %v", path, err)
		}
	}
}
