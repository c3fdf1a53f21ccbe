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
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/setup"
)

// importIn takes a store over into the one of a directory.
func importIn(ctx context.Context, dir, old string, flags ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "nixnfsd", append([]string{"import", "--upper", "upper", "--state", "state", "--from", old}, flags...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "XDG_DATA_HOME=")
	return cmd.CombinedOutput()
}

// oldStore makes a store with hard links, which is none of Nix's but by its form.
func oldStore(t *testing.T) string {
	t.Helper()
	old := storeScratch(t)
	script := `
		mkdir -p store/.links var/nix/db var/nix/profiles
		for p in $(seq 20); do
			mkdir -p store/$p-p/bin
			head -c 200000 /dev/urandom >store/$p-p/large
			echo $p >store/$p-p/bin/run
			ln store/$p-p/large store/.links/$p
			ln store/$p-p/large store/$p-p/again
			ln -s again store/$p-p/link
			chmod 555 store/$p-p/bin/run store/$p-p/bin store/$p-p
		done
		printf 'SQLite format 3\000' >var/nix/db/db.sqlite
		head -c 1000000 /dev/urandom >>var/nix/db/db.sqlite
		ln -s nowhere var/nix/profiles/default`
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir = old
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return old
}

// TestImportKilled kills the verb, with the server that it has in it, at any moment: store and var are there whole or not
// at all, a last run makes both, and nothing is left that no receipt tells of.
func TestImportKilled(t *testing.T) {
	old := oldStore(t)
	for _, apart := range []bool{false, true} {
		t.Run(fmt.Sprintf("apart=%t", apart), func(t *testing.T) {
			dir := storeScratch(t)
			var flags []string
			if apart {
				flags = []string{"--var", filepath.Join(dir, "deep", "var")}
			}
			start := time.Now()
			if out, err := importIn(t.Context(), storeScratch(t), old); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			took := time.Since(start)
			random := rand.New(rand.NewPCG(5, 6))
			for range 12 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.Int64N(int64(took))))
				_, _ = importIn(ctx, dir, old, flags...) // killed
				cancel()
				holdWhole(t, dir, old)
				holdTold(t, dir)
			}
			out, err := importIn(t.Context(), dir, old, flags...)
			if err != nil && !strings.Contains(string(out), "the new store is not empty") { // one was killed too late
				t.Errorf("%v: %s", err, out)
			}
			if _, err := os.Stat(filepath.Join(dir, "upper", "var", "nix", "db")); err != nil {
				t.Error(err)
			}
			holdWhole(t, dir, old)
			if left, _ := filepath.Glob(filepath.Join(dir, "*", ".nixnfsd*")); len(left) > 0 {
				t.Errorf("%q are left", left)
			}
		})
	}
}

// holdWhole holds that what of a store is there is as it was in the old one.
func holdWhole(t *testing.T, dir, old string) {
	t.Helper()
	for _, name := range []string{"store", "var"} {
		got, err := filepath.EvalSymlinks(filepath.Join(dir, "upper", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(listing(t, filepath.Join(old, name)), listing(t, got)); d != "" {
			t.Fatalf("%s: -want +got:\n%s", name, d)
		}
	}
}

// listing tells what is beneath a directory. The mode of a store path itself may be put right by the next run.
func listing(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case filepath.Dir(path) == root && d.IsDir():
			text = "a directory"
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %d bytes, %x, %d names", len(b), b[:min(len(b), 8)], info.Sys().(*syscall.Stat_t).Nlink)
		}
		all[path[len(root):]] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// holdTold holds that the receipt tells of what is made beside the store for var.
func holdTold(t *testing.T, dir string) {
	t.Helper()
	deep := filepath.Join(dir, "deep")
	entries, err := os.ReadDir(deep)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	r, readErr := setup.ReadReceipt(filepath.Join(dir, ".local/state/nixnfsd/setup.json"))
	if err := errors.Join(err, readErr); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Changes, func(c setup.Change) bool { return c.Path == deep && c.Dir }) {
		t.Errorf("the receipt does not tell of %s: %+v", deep, r)
	}
	for _, e := range entries {
		if path := filepath.Join(deep, e.Name()); !slices.Contains(r.Store, path) {
			t.Errorf("the receipt does not tell of %s: %+v", path, r)
		}
	}
}
