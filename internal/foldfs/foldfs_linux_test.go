package foldfs

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFolds(t *testing.T) {
	dir := Mount(t, Options{})
	for _, names := range [][2]string{{"Foo", "fOO"}, {"\u00e9", "E\u0301"}, {"\u03a3", "\u03c2"}, {"ss", "\u00df"}} {
		path := filepath.Join(dir, names[0])
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Join(dir, names[1])); err != nil {
			t.Errorf("%q is not found as %q: %v", names[0], names[1], err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != names[0] {
			t.Errorf("got %v, want %q; error %v", entries, names[0], err)
		}
		if err := os.Remove(filepath.Join(dir, names[1])); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "\xff"), nil, 0o644); !errors.Is(err, syscall.EILSEQ) {
		t.Errorf("a name that is no UTF-8: %v", err)
	}
}

func TestLikeHFSPlus(t *testing.T) {
	dir := Mount(t, Options{HFSPlus: true})
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, path := range []string{a, b} {
		if err := os.WriteFile(path, []byte(path), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != unix.EINVAL {
		t.Errorf("exchange: %v", err)
	}
	if info, err := os.Lstat(a); err != nil || info.ModTime().Nanosecond() != 0 {
		t.Errorf("got %v, error %v", info, err)
	}
}
