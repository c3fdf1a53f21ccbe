package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// bootstrapIn unpacks a tarball into the store of a directory.
func bootstrapIn(ctx context.Context, dir, tarball string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "nixnfsd", "bootstrap", "--upper", "upper", "--state", "state", "--tarball", tarball)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "XDG_DATA_HOME=")
	return cmd.CombinedOutput()
}

// TestBootstrapKilled kills the verb, with the server that it has in it, at any moment: a
// store path is there whole or not at all, and a last run makes all of them.
func TestBootstrapKilled(t *testing.T) {
	_, err := exec.LookPath("xz")
	testenv.Require(t, err == nil, "xz is not installed")
	file, err := smallTarball(nixSystem()).File(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	whole, dir := storeScratch(t), storeScratch(t)
	start := time.Now()
	out, err := bootstrapIn(t.Context(), whole, file)
	took := time.Since(start)
	want := readStore(t, whole)
	if len(want) == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.Int64N(int64(took))))
		_, _ = bootstrapIn(ctx, dir, file) // killed
		cancel()
		for name, got := range readStore(t, dir) {
			if got != want[name] {
				t.Fatalf("%s is %s, want %s", name, got, want[name])
			}
		}
	}
	out, _ = bootstrapIn(t.Context(), dir, file)
	if d := cmp.Diff(want, readStore(t, dir)); d != "" {
		t.Errorf("-want +got:\n%s\n%s", d, out)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "upper", ".nixnfsd*")); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// storeScratch gives a directory that can be removed after the test, though it holds a store.
func storeScratch(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		if out, err := exec.Command("chmod", "-R", "u+w", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return dir
}

// readStore tells what is in the store of a directory. The mode of a store path itself may be
// put right by the next run.
func readStore(t *testing.T, dir string) map[string]string {
	t.Helper()
	root, files := filepath.Join(dir, "upper", "store"), map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Dir(path) == filepath.Dir(root) {
			return err
		}
		info, err := d.Info()
		if err != nil || filepath.Dir(path) == root && d.IsDir() {
			return err
		}
		text := fmt.Sprint(info.Mode(), " ", info.ModTime().Unix())
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %d %.20q", len(b), b)
		}
		files[path[len(root):]] = text
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}
