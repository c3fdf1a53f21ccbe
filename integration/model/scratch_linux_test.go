package model

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// imageSize is room for one run's layers, many times over.
const imageSize = 512 << 20

// scratch mounts an ext4 whose image is in memory, until the test ends.
func scratch(t *testing.T) string {
	t.Helper()
	testenv.Require(t, os.Getuid() == 0, "only root mounts overlayfs")
	dir := t.TempDir()
	image, point := emptyImage(t), filepath.Join(dir, "scratch")
	must(t, os.Mkdir(point, 0o755))
	for _, args := range [][]string{
		{"mkfs.ext4", "-q", "-F", "-O", "^has_journal", image},
		{"mount", "-o", "loop,noatime", image, point},
	} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		testenv.Require(t, err == nil, args[0]+": "+string(out))
	}
	t.Cleanup(func() { must(t, unix.Unmount(point, unix.MNT_DETACH)) })
	must(t, os.Remove(image)) // the mount holds it
	return point
}

// emptyImage makes a sparse file, in memory where there is a file system for that.
func emptyImage(t *testing.T) string {
	t.Helper()
	dir := "/dev/shm"
	if unix.Access(dir, unix.W_OK) != nil {
		dir = t.TempDir()
	}
	f, err := os.CreateTemp(dir, "nixnfsd-model")
	must(t, err)
	t.Cleanup(func() { _ = os.Remove(f.Name()) }) // where it could not be mounted
	must(t, f.Truncate(imageSize))
	must(t, f.Close())
	return f.Name()
}

// fatal is what tests and rapid's checks have in common.
type fatal interface {
	Helper()
	Fatal(args ...any)
}

func must(t fatal, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
