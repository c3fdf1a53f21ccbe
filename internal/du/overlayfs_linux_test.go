package du

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// TestOverlayfs counts in one of Linux's, as containers have them: files have other device numbers there
// than directories (overlayfs.rst, "Inode properties").
func TestOverlayfs(t *testing.T) {
	dir := t.TempDir()
	point, disk, lower := filepath.Join(dir, "point"), filepath.Join(dir, "disk"), filepath.Join(dir, "lower")
	for _, d := range []string{point, disk, lower} {
		check(t, os.Mkdir(d, 0o755))
	}
	fill(t, lower, "a/low 8", "b/more =a/low")
	err := unix.Mount("disk", disk, "tmpfs", 0, "")
	if err == nil {
		t.Cleanup(func() { check(t, unix.Unmount(disk, 0)) })
		check(t, os.Mkdir(disk+"/upper", 0o755))
		check(t, os.Mkdir(disk+"/work", 0o755))
		err = unix.Mount("overlay", point, "overlay", 0, "lowerdir="+lower+",upperdir="+disk+"/upper,workdir="+disk+"/work")
	}
	testenv.Require(t, err == nil, "overlayfs takes root")
	t.Cleanup(func() { check(t, unix.Unmount(point, 0)) })
	fill(t, point, "c/new 16")
	u := count(t, ".", point)
	if got, want := Sum(u.Total()), oracle(t, point); got != want || want < 24*k {
		t.Errorf("got %d bytes, du says %d", got, want)
	}
}
