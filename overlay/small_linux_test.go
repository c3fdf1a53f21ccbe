package overlay_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a file system of a size, such as 1m, on dir until the test ends.
func mountSmall(t *testing.T, dir, size string) bool {
	if unix.Mount("small", dir, "tmpfs", 0, "nr_inodes=0,size="+size) != nil {
		return false
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return true
}
