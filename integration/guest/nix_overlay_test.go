//go:build linux

package guest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// EnvNewerNix names a directory with a Nix that has the local-overlay store.
const EnvNewerNix = "NIXNFSD_NEWER_NIX"

// localOverlay is a store over another one, both with /nix/store as their directory: the
// store's own lies in the server's upper, the other's in its lower.
type localOverlay struct {
	*nixUser
	nix          string // EnvNewerNix
	lower, upper string // where the two have their paths, behind the mount
	over, below  string // the stores' URLs
}

// newLocalOverlay wants the server not started yet: its first lower gets a store.
func newLocalOverlay(t *testing.T) *localOverlay {
	t.Helper()
	uid := owner(t, Export(t))
	s := &localOverlay{nixUser: newNixUser(t, uid), nix: bindNix(t)}
	root := filepath.Dir(fromEnv(t, EnvLowers)) // the lower is a store's nix directory
	for _, dir := range []string{root, root + "/nix"} {
		try(t, os.MkdirAll(dir, 0o755))
		try(t, os.Chown(dir, uid, uid))
	}
	s.lower, s.upper = root+"/nix/store", Export(t)+"/store"
	s.env = append(s.env, "NIX_CONFIG="+nixConfig+"extra-experimental-features = local-overlay-store read-only-local-store\n")
	hook := filepath.Join(s.home, "hook")
	try(t, os.WriteFile(hook, []byte("#!/bin/sh -e\nnixnfsd layers refresh --state /scratch/state\n>>hook.ran\n"), 0o755))
	s.below = "local?root=" + root
	s.over = "local-overlay://?state=" + s.home + "/state&check-mount=false&upper-layer=" + s.upper + "&remount-hook=" + hook +
		"&lower-store=" + strings.NewReplacer("?", "%3F", "=", "%3D", "&", "%26").Replace(s.below+"&read-only=true")
	for _, name := range []string{"first", "both", "late", "own"} {
		try(t, os.WriteFile(filepath.Join(s.home, name), []byte("what is "+name), 0o644))
	}
	s.env = append(s.env, "PATH="+os.Getenv("PATH"))
	return s
}

// bindNix puts the newer Nix where every user can run it: it may lie in a home that only
// its owner enters.
func bindNix(t *testing.T) string {
	t.Helper()
	nix, place := fromEnv(t, EnvNewerNix), "/newer-nix"
	testenv.Require(t, os.Getuid() == 0, "binding a directory needs root")
	try(t, os.MkdirAll(place, 0o755))
	try(t, syscall.Mount(nix, place, "", syscall.MS_BIND, ""))
	t.Cleanup(func() { try(t, syscall.Unmount(place, syscall.MNT_DETACH)) })
	return place
}

// store runs nix-store with a store.
func (s *localOverlay) store(t *testing.T, url string, args ...string) string {
	t.Helper()
	usr := filepath.Join(s.nix, "usr")
	loader := []string{"--argv0", "nix-store", "--library-path", usr + "/lib/x86_64-linux-gnu", usr + "/bin/nix", "--store", url}
	return s.run(t, usr+"/lib64/ld-linux-x86-64.so.2", append(loader, args...)...)
}

// reads checks what a path of the store holds through the mount. "": it is not there.
func (s *localOverlay) reads(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if want == "" && !errors.Is(err, fs.ErrNotExist) || want != "" && (err != nil || string(got) != want) {
		t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
	}
}

// in reports whether a layer has a path of the store.
func in(layer, path string) bool {
	_, err := os.Lstat(filepath.Join(layer, filepath.Base(path)))
	return err == nil
}

// TestNixLocalOverlay has Nix's local-overlay store, which deletes behind the mount, use
// `nixnfsd layers refresh` as its remount-hook; the store under it changes behind the
// server as well. What the NFS client has cached must not outlive a refresh. The test runs
// as root, to bind a directory, and everything of Nix's as the export's owner.
func TestNixLocalOverlay(t *testing.T) {
	s := newLocalOverlay(t)
	first := s.store(t, s.below, "--add", "first")
	Control(t, "start")
	Control(t, "mount")
	t.Cleanup(func() { Control(t, "umount"); Control(t, "stop") })
	s.reads(t, first, "what is first")

	both := s.store(t, s.over, "--add", "both")
	own := s.store(t, s.over, "--add", "own")
	if !in(s.upper, both) || !in(s.upper, own) || in(s.lower, both) {
		t.Fatal("the store over the other one does not add to the upper")
	}
	t.Run("added below", func(t *testing.T) {
		late := s.store(t, s.over, "--add", "late")
		s.store(t, s.over, "--delete", late)
		s.reads(t, late, "") // and the client knows that
		if got := s.store(t, s.below, "--add", "late"); got != late {
			t.Fatalf("added as %s, want %s", got, late)
		}
		s.refresh(t)
		s.reads(t, late, "what is late")
	})
	t.Run("deleted in both", func(t *testing.T) {
		s.store(t, s.below, "--add", "both")
		s.reads(t, both, "what is both")
		was := inode(t, both)
		s.store(t, s.over, "--delete", both)
		if _, err := os.Stat(filepath.Join(s.home, "hook.ran")); err != nil {
			t.Errorf("the hook did not run: %v", err)
		}
		if in(s.upper, both) {
			t.Error("the upper still has the path")
		}
		s.reads(t, both, "what is both") // the lower's
		if inode(t, both) == was {
			t.Error("the removed object is still shown")
		}
	})
	t.Run("deleted below", func(t *testing.T) {
		s.store(t, s.below, "--delete", first)
		s.refresh(t)
		s.reads(t, first, "")
	})
	t.Run("deleted above", func(t *testing.T) {
		s.store(t, s.over, "--delete", own)
		s.reads(t, own, "")
	})
	s.store(t, s.over, "--verify", "--check-contents")
	s.run(t, "nixnfsd", "layers", "--state", "/scratch/state")
}

func (s *localOverlay) refresh(t *testing.T) {
	t.Helper()
	t.Log(s.run(t, "nixnfsd", "layers", "refresh", "--state", "/scratch/state"))
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st syscall.Stat_t
	try(t, syscall.Lstat(path, &st))
	return st.Ino
}
