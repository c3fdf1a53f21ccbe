//go:build linux

package guest

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// TestNixLower runs the scenario over two lower layers and an empty upper one. The
// lowest holds a Nix store made by Nix itself on ext4; the other is what the server made
// over that one as its upper layer. Nothing of either may change. The test runs as
// root, to bind a layer at /nix, and everything else in it as the export's owner.
func TestNixLower(t *testing.T) {
	lowers := lowerDirs(t)
	testenv.Require(t, os.Getuid() == 0, "binding a layer at /nix needs root")
	uid := owner(t, Export(t))
	u := newNixUser(t, uid)
	for _, lower := range lowers {
		try(t, os.MkdirAll(lower, 0o755))
		try(t, os.Chown(lower, uid, uid))
	}
	base, middle := newScenario(t, u, "base", lowerTreeFiles), newScenario(t, u, "middle", smallTreeFiles)
	fillLower(t, base, lowers[1])
	merged := fillMiddle(t, middle, lowers[0], lowers[1])
	before := readTrees(t, lowers)

	Control(t, "start")
	Control(t, "mount")
	mounted := t.Run("lower-through-mount", func(t *testing.T) { throughMount(t, base, middle, merged) })
	if mounted {
		t.Run("scenario", newScenario(t, u, "over", smallTreeFiles).steps)
	}
	Control(t, "umount")
	Control(t, "stop")
	for i, after := range readTrees(t, lowers) {
		if d := diff(after, before[i]); d != "" {
			t.Errorf("%s changed:\n%s", lowers[i], d)
		}
	}
}

func readTrees(t *testing.T, roots []string) (trees []tree) {
	t.Helper()
	for _, root := range roots {
		tr := readTree(t, root)
		t.Logf("%s: %d entries, hash %s", root, len(tr), tr.digest())
		trees = append(trees, tr)
	}
	return trees
}

// owner returns the uid that owns a directory.
func owner(t *testing.T, dir string) int {
	t.Helper()
	var st syscall.Stat_t
	try(t, syscall.Stat(dir, &st))
	return int(st.Uid)
}

// fillLower makes a store with the layer at /nix, without any NFS.
func fillLower(t *testing.T, s *scenario, lower string) {
	t.Helper()
	try(t, syscall.Mount(lower, nixRoot, "", syscall.MS_BIND, ""))
	defer func() { try(t, syscall.Unmount(nixRoot, 0)) }()
	s.fill(t)
}

// fill makes a store, or more of one.
func (s *scenario) fill(t *testing.T) {
	t.Helper()
	for _, step := range []func(*testing.T){s.initStore, s.add, s.build, s.install, s.optimise} {
		step(t)
	}
}

// fillMiddle goes on with a store over a lower layer, with a server of its own that it
// mounts by the command that the server tells. It returns what both layers show then.
func fillMiddle(t *testing.T, s *scenario, upper, lower string) tree {
	t.Helper()
	cmd := s.command(t.Context(), "nixnfsd", "serve", "--upper", upper, "--lower", lower, "--state", upper+".state", "--listen", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	try(t, err)
	cmd.Stderr = t.Output()
	try(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	command, found := "", false
	for !found && lines.Scan() {
		_, command, found = strings.Cut(lines.Text(), "mount it with: sudo ")
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput()
	if !found || err != nil {
		t.Fatalf("mount the middle layer by %q: %v: %s", command, err, out)
	}
	defer func() {
		try(t, syscall.Unmount(nixRoot, 0))
		try(t, cmd.Process.Signal(syscall.SIGTERM))
		try(t, cmd.Wait())
		removeTree(t, upper+".work") // with the links that its files have there
	}()
	s.fill(t)
	return readTree(t, nixRoot)
}

// throughMount reads the lowers' store over the empty upper and works with it.
func throughMount(t *testing.T, base, middle *scenario, lower tree) {
	got := readTree(t, nixRoot)
	if d := diff(visible(got), visible(lower)); d != "" {
		t.Fatalf("the mount does not show the lowers:\n%s\n%s", d, storeState())
	}
	middle.runResult(t) // the link is that of the last build
	base.install(t)
	base.verify(t)
	base.build(t)
	base.runResult(t)
	base.noStrays(t)
	base.repairLower(t)
}

// visible is what has to be equal below and through the mount: all but the
// inode numbers, which are the server's own, the link counts, since a lower layer has no
// index of the names that its own copy-ups left behind, and the root, whose attributes
// are the upper's.
func visible(tr tree) tree {
	out := tr.unlinked()
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
