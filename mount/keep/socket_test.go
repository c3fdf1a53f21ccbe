package keep

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestListen: one keeper at a time has a directory, into which everybody can look and only who runs
// it can write, whatever the umask.
func TestListen(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "run")
	l, unlock, err := Listen(dir, uint32(os.Getuid()))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory: %v, %v", info, err)
	}
	if _, _, err := Listen(dir, uint32(os.Getuid())); err == nil || !strings.Contains(err.Error(), "another keeper has ") {
		t.Errorf("a second one: %v", err)
	}
	l.Close()
	if err := unlock(); err != nil {
		t.Error(err)
	}
	l, unlock, err = Listen(dir, uint32(os.Getuid()))
	if err != nil {
		t.Fatal("after the end of the first:", err)
	}
	l.Close()
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	link := filepath.Join(dir, "link")
	for _, err := range []error{os.Mkdir(open, 0o755), os.Chmod(open, 0o775), os.Symlink(dir, link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{open, link, filepath.Join(dir, "none", "run")} {
		if _, _, err := Listen(at, uint32(os.Getuid())); err == nil {
			t.Errorf("%s is taken", at)
		}
	}
}
