package nfs

import (
	"bytes"
	"os"
	"runtime"
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

// TestRepliesGo: who lets go of Replies, which are never closed, keeps no memory of theirs.
func TestRepliesGo(t *testing.T) {
	dir := t.TempDir()
	r := openReplies(t, dir, testKey)
	mapped := func() bool {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(maps, []byte(dir))
	}
	if !mapped() {
		t.Error("the file is not mapped")
	}
	removeOn(t, r) // the last use
	testenv.Await(t, "the mapping goes", func() bool {
		runtime.GC()
		return !mapped()
	})
}
