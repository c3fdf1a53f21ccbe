package overlay_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a file system of 1 MiB on dir until the test ends.
func mountSmall(t *testing.T, dir string) bool {
	if unix.Mount("small", dir, "tmpfs", 0, "size=1m") != nil {
		return false
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return true
}
