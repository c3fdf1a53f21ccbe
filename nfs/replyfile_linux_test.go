package nfs

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// TestNoRoomForReplies: on a full disk replies are kept in memory only.
func TestNoRoomForReplies(t *testing.T) {
	dir := t.TempDir()
	err := unix.Mount("small", dir, "tmpfs", 0, "size=1m")
	testenv.Require(t, err == nil, "only root can mount")
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	r, err := OpenReplies(dir, testKey)
	if err == nil {
		t.Error("got no error")
	}
	for _, want := range []int32{1, 0} {
		if _, ran := removeOn(t, r); ran != want {
			t.Errorf("ran %d times, want %d", ran, want)
		}
	}
	if err := unix.Access(dir+"/"+repliesName+".new", unix.F_OK); err != unix.ENOENT {
		t.Errorf("what was written of the file was left: %v", err)
	}
}
