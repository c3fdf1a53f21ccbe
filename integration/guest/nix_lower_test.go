//go:build linux

package guest

import (
	"os"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// EnvLower names the directory that the server has as its one lower layer. The
// server has not been started when it is set: the test fills the layer first.
const EnvLower = "NIXNFSD_LOWER"

// TestNixLower runs the scenario over a lower layer that holds a Nix store,
// made by Nix itself on ext4, and an empty upper one. Nothing of the lower may change.
// The test runs as root, to bind the layer at /nix, and everything else
// in it as the export's owner.
func TestNixLower(t *testing.T) {
	lower := fromEnv(t, EnvLower)
	testenv.Require(t, os.Getuid() == 0, "binding a layer at /nix needs root")
	uid := owner(t, Export(t))
	u := newNixUser(t, uid)
	base := newScenario(t, u, "base", treeFiles)
	fillLower(t, base, lower, uid)
	before := readTree(t, lower)
	t.Logf("lower: %d entries, hash %s", len(before), before.digest())

	Control(t, "start")
	Control(t, "mount")
	mounted := t.Run("lower-through-mount", func(t *testing.T) { throughMount(t, base, before) })
	if mounted {
		t.Run("scenario", newScenario(t, u, "over", smallTreeFiles).steps)
	}
	Control(t, "umount")
	Control(t, "stop")
	after := readTree(t, lower)
	if got, want := after.digest(), before.digest(); got != want {
		t.Errorf("the lower changed: hash %s, before %s\n%s", got, want, diff(after, before))
	}
}

// owner returns the uid that owns a directory.
func owner(t *testing.T, dir string) int {
	t.Helper()
	var st syscall.Stat_t
	try(t, syscall.Stat(dir, &st))
	return int(st.Uid)
}

// fillLower makes a store with the layer at /nix, without any NFS.
func fillLower(t *testing.T, s *scenario, lower string, uid int) {
	t.Helper()
	try(t, os.MkdirAll(lower, 0o755))
	try(t, os.Chown(lower, uid, uid))
	try(t, syscall.Mount(lower, nixRoot, "", syscall.MS_BIND, ""))
	defer func() { try(t, syscall.Unmount(nixRoot, 0)) }()
	for _, step := range []func(*testing.T){s.initStore, s.add, s.build, s.install, s.optimise} {
		step(t)
	}
}

// throughMount reads the lower's store over the empty upper and works with it.
func throughMount(t *testing.T, base *scenario, lower tree) {
	got := readTree(t, nixRoot)
	if d := diff(visible(got), visible(lower)); d != "" {
		t.Fatalf("the mount does not show the lower:\n%s\n%s", d, storeState())
	}
	base.install(t)
	base.runResult(t)
	base.verify(t)
	base.build(t)
	base.noStrays(t)
	base.repairLower(t)
}

// visible is what has to be equal below and through the mount: all but the
// inode numbers, which are the server's own, and the root, whose attributes are the upper's.
func visible(tr tree) tree {
	out := tree{}
	for name, e := range tr {
		e.Ino = 0
		if e.Mode.IsDir() {
			e.Nlink = 0
		}
		out[name] = e
	}
	delete(out, ".")
	return out
}

// repairLower corrupts and repairs a file that lies in the lower: it has to
// be copied up, with all of its names: the one in .links as well, which
// --repair-path would not look at.
func (s *scenario) repairLower(t *testing.T) {
	t.Helper()
	s.copyToCache(t)
	s.repaired(t, s.text, "share/many/77", "--verify", "--check-contents", "--repair")
}
