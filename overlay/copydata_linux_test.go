package overlay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// scattered writes blocks of data with holes between them and gives the contents.
func scattered(t *testing.T, path string, size int) []byte {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	rnd := rand.New(random)
	data := make([]byte, size)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(size)); err != nil {
		t.Fatal(err)
	}
	for off := 0; off < size; {
		n := min(1+rnd.IntN(3<<20), size-off)
		if _, err := random.Read(data[off : off+n]); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(data[off:off+n], int64(off)); err != nil {
			t.Fatal(err)
		}
		off += n + rnd.IntN(3<<20)
	}
	return data
}

// blocks is how many bytes a file takes on its disk.
func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

func (tr *tree) copyUp(name string) {
	tr.t.Helper()
	var w overlay.Change
	if err := tr.Setattr(worker, tr.walk(name).ID, &overlay.SetAttr{SetMode: true, Mode: 0o600}, &w); err != nil {
		tr.t.Fatal(err)
	}
}

// A copy of a file of many parts has each byte, and each hole.
func TestCopyUpScattered(t *testing.T) {
	const size = 50 << 20
	tr := newTree(t, 1)
	lower, upper := tr.options.Lowers[0]+"/f", tr.options.Upper+"/f"
	want := scattered(t, lower, size)
	tr.open().copyUp("f")
	if got, err := os.ReadFile(upper); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the copy differs: %d bytes, %v", len(got), err)
	}
	if l, u := blocks(t, lower), blocks(t, upper); u > l+l/10 {
		t.Errorf("the copy takes %d bytes on disk, the lower file %d of %d", u, l, size)
	}
}

// Where the file system can, the copy shares its blocks with the lower file.
func TestCopyUpShares(t *testing.T) {
	const size = 64 << 20
	dir := mountImage(t, "btrfs", 256<<20)
	tr := newTree(t, 0)
	tr.options = overlay.Options{Upper: dir + "/upper", Lowers: []string{dir + "/lower"}}
	mustMkdir(t, tr.options.Upper)
	mustMkdir(t, tr.options.Lowers[0])
	want := scattered(t, tr.options.Lowers[0]+"/f", size)
	syscall.Sync()
	var before, after syscall.Statfs_t
	if err := syscall.Statfs(dir, &before); err != nil {
		t.Fatal(err)
	}
	tr.open().copyUp("f")
	syscall.Sync()
	if err := syscall.Statfs(dir, &after); err != nil {
		t.Fatal(err)
	}
	if took := int64(before.Bfree-after.Bfree) * before.Bsize; took > size/16 {
		t.Errorf("the copy of %d bytes took %d", size, took)
	}
	if got, err := os.ReadFile(tr.options.Upper + "/f"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the copy differs: %d bytes, %v", len(got), err)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
}

// mountImage mounts a new file system of the kind, in a file, until the test ends.
func mountImage(t *testing.T, kind string, size int64) (dir string) {
	t.Helper()
	testenv.Require(t, os.Getuid() == 0, "mounting a file system needs root")
	dir = t.TempDir()
	image, point := filepath.Join(dir, "image"), filepath.Join(dir, "mounted")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	mustMkdir(t, point)
	for _, argv := range [][]string{{"mkfs." + kind, "-q", image}, {"mount", "-o", "loop", image, point}} {
		out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
		testenv.Require(t, err == nil, fmt.Sprintf("no %s here: %s: %v: %s", kind, argv[0], err, out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", point).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return point
}
