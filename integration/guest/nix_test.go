//go:build linux

package guest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// How many regular files the tree has that goes into the store.
const (
	treeFiles      = 5000
	lowerTreeFiles = 2000
	smallTreeFiles = 500
)

// expression builds hello, which needs text, which needs shell, with nothing
// but a static busybox: no nixpkgs, no network.
const expression = `
{ busybox, seed, common ? seed }:
let
  make = name: builder: script: inputs: derivation ({
    inherit name builder;
    system = builtins.currentSystem;
    args = [ "-euc" script ];
    PATH = "/usr/bin:/bin";
  } // inputs);
  shell = make "shell-${common}" "/bin/sh" ''
    mkdir -p $out/bin
    cp ${busybox} $out/bin/busybox
    for i in sh cat; do ln -s busybox $out/bin/$i; done
  '' { };
  text = make "text-${seed}" "${shell}/bin/sh" ''
    mkdir -p $out/share/many
    echo "hello from ${seed}" >$out/share/greeting
    i=0
    while [ $i -lt 200 ]; do echo "${seed} $((i%100))" >$out/share/many/$i; i=$((i+1)); done
  '' { };
  hello = make "hello-${seed}" "${shell}/bin/sh" ''
    mkdir -p $out/bin
    cat >$out/bin/hello <<EOF
    #!${shell}/bin/sh
    ${shell}/bin/cat ${text}/share/greeting
    EOF
    cat >$out/bin/wait <<EOF
    #!${shell}/bin/sh
    echo ready
    read line
    ${shell}/bin/cat ${text}/share/greeting
    echo done with \$line
    EOF
    chmod +x $out/bin/*
  '' { };
in { inherit shell text hello; }
`

// A scenario is one user's work with one store. Its steps are meant to run in
// order: each builds on what those before it left.
type scenario struct {
	*nixUser
	seed    string // sets apart what this scenario builds
	busybox string
	cache   string // a file:// binary cache, on a native directory
	source  string // a tree of files, on a native directory
	added   string // its path in the store
	hello   string // the path in the store of what nix-build built
	text    string // the path of what hello needs
}

func newScenario(t *testing.T, u *nixUser, seed string, files int) *scenario {
	t.Helper()
	s := &scenario{nixUser: u, seed: seed, cache: filepath.Join(u.home, "cache"), source: filepath.Join(u.home, "tree-"+seed)}
	busybox, err := exec.LookPath("busybox")
	testenv.Require(t, err == nil, "a static busybox is not installed")
	_, err = exec.LookPath("nix-store")
	testenv.Require(t, err == nil, "Nix is not installed")
	s.busybox = busybox
	u.write(t, "default.nix", expression)
	writeTree(t, s.source, seed, files)
	return s
}

// noSymlinkLinks is what Linux's hfsplus driver cannot do.
const noSymlinkLinks = "HFS+ under Linux has no hard links to symbolic links"

// steps runs the steps. A failed step does not stop the ones after it, but
// without a store, a tree in it and something built there is nothing to test.
func (s *scenario) steps(t *testing.T) {
	steps := []struct {
		name   string
		step   func(t *testing.T)
		needed bool
		links  bool // to symbolic links too
	}{
		{"init", s.initStore, true, false},
		{"add", s.add, true, false},
		{"build", s.build, true, false},
		{"install", s.install, false, false},
		{"run", s.runResult, false, false},
		{"verify", s.verify, false, false},
		{"copy-to-cache", s.copyToCache, false, false},
		{"repair-verify", s.repairByVerify, false, false},
		{"repair-path", s.repairPath, false, false},
		{"check", s.checkBuild, false, false},
		{"optimise", s.optimise, false, true},
		{"repair-optimised", s.repairOptimised, false, true},
		{"export-import", s.exportImport, false, false},
		{"parallel-builds-and-gc", s.parallelBuilds, false, false},
		{"collect-garbage-while-running", s.collectGarbageWhileRunning, false, false},
		{"verify-again", s.verify, false, false},
		{"no-strays", s.noStrays, false, false},
		{"empty", s.empty, false, false},
	}
	for _, step := range steps {
		if onHFSPlus() && step.links {
			t.Run(step.name, func(t *testing.T) { t.Skip("exception: " + noSymlinkLinks) })
			continue
		}
		if ok := t.Run(step.name, step.step); !ok && step.needed {
			t.Fatalf("the steps after %s are not run", step.name)
		}
	}
}

func (s *scenario) initStore(t *testing.T) {
	s.run(t, "nix-store", "--init")
	for _, dir := range []string{nixRoot, nixStores, nixRoot + "/var/nix/db"} {
		fi, err := os.Stat(dir)
		if err != nil || !fi.IsDir() {
			t.Fatalf("after --init %s is not there: %v\n%s", dir, err, storeState())
		}
	}
}

// add puts a tree into the store: the same bytes, in canonical form.
func (s *scenario) add(t *testing.T) {
	s.added = s.run(t, "nix-store", "--add", s.source)
	got, want := readTree(t, s.added), readTree(t, s.source)
	if d := diff(got.contents(), want.contents()); d != "" {
		t.Fatalf("%s is not what was added:\n%s\n%s", s.added, d, storeState())
	}
	for name, e := range got {
		if err := canonical(e); err != nil {
			t.Errorf("%s/%s: %v", s.added, name, err)
		}
	}
}

// canonical checks what Nix's canonicalisePathMetaData leaves: modes 0444 and
// 0555, and one second after the epoch as the time of everything.
func canonical(e entry) error {
	want := fs.FileMode(0o444)
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		want = fs.ModeSymlink
	case e.Mode.IsDir():
		want = fs.ModeDir | 0o555
	case e.Mode&0o100 != 0:
		want = 0o555
	}
	if e.Mode != want {
		return fmt.Errorf("got mode %v, want %v", e.Mode, want)
	}
	if e.Mtime.Unix() != 1 || e.Mtime.Nanosecond() != 0 {
		return fmt.Errorf("got mtime %v, want one second after the epoch", e.Mtime)
	}
	return nil
}

// nixBuild builds hello with a seed, links it as a garbage collector's root,
// and returns its path.
func (s *scenario) nixBuild(ctx context.Context, seed, link string, more ...string) (string, error) {
	args := append([]string{
		filepath.Join(s.home, "default.nix"), "-A", "hello", "-o", filepath.Join(s.home, link),
		"--argstr", "busybox", s.busybox, "--argstr", "seed", seed,
	}, more...)
	return s.try(ctx, "nix-build", args...)
}

// build builds three derivations of which each needs the one before.
func (s *scenario) build(t *testing.T) {
	path, err := s.nixBuild(t.Context(), s.seed, "result")
	if err != nil {
		t.Fatalf("%v\n%s", err, storeState())
	}
	s.hello = path
	refs := strings.Fields(s.run(t, "nix-store", "-qR", path))
	if len(refs) != 3 {
		t.Errorf("closure of %s: got %q, want shell, text and hello", path, refs)
	}
	for _, ref := range refs {
		if strings.HasSuffix(ref, "-text-"+s.seed) {
			s.text = ref
		}
	}
}

// profiles is the start of the names of all profiles, which lie in the store's
// own state directory.
const profiles = nixRoot + "/var/nix/profiles/test-"

// profile is the scenario's own.
func (s *scenario) profile() string { return profiles + s.seed }

// install makes a profile of what was built and runs the program in it.
func (s *scenario) install(t *testing.T) {
	s.run(t, "nix-env", "-p", s.profile(), "-i", s.hello)
	s.greets(t, s.profile()+"/bin/hello", s.seed)
}

// runResult runs the program through the link that nix-build left.
func (s *scenario) runResult(t *testing.T) {
	s.greets(t, filepath.Join(s.home, "result/bin/hello"), s.seed)
}

// greets runs hello and checks what it says.
func (s *scenario) greets(t *testing.T, program, seed string) {
	t.Helper()
	if got, want := s.run(t, program), "hello from "+seed; got != want {
		t.Errorf("%s: got %q, want %q", program, got, want)
	}
}

// verify has Nix compare every path with its hash in the database.
func (s *scenario) verify(t *testing.T) {
	s.run(t, "nix-store", "--verify", "--check-contents")
}

// copyToCache fills a binary cache on a native directory, to repair from.
func (s *scenario) copyToCache(t *testing.T) {
	s.run(t, "nix", "copy", "--to", "file://"+s.cache, s.hello)
}

// corruptScript changes one byte of a file behind Nix's back, and nothing else.
const corruptScript = `
mode=$(stat -c %a "$1")
chmod u+w "$1"
printf "#" | dd of="$1" conv=notrunc bs=1 seek=3 status=none
chmod "$mode" "$1"
touch -d @1 "$1"
`

// repaired corrupts a file of a path, sees Nix complain, has it repaired by
// the command and compares the path with what it was.
func (s *scenario) repaired(t *testing.T, path, name string, repair ...string) {
	t.Helper()
	want := readTree(t, path)
	s.run(t, "sh", "-ec", corruptScript, "corrupt", filepath.Join(path, name))
	s.rejects(t, "was modified", "nix-store", "--verify", "--check-contents")
	s.run(t, "nix-store", append(repair, "--option", "substituters", "file://"+s.cache)...)
	if d := diff(readTree(t, path).unlinked(), want.unlinked()); d != "" {
		t.Errorf("%s after its repair:\n%s\n%s", path, d, storeState())
	}
	s.verify(t)
}

func (s *scenario) repairByVerify(t *testing.T) {
	s.repaired(t, s.text, "share/many/77", "--verify", "--check-contents", "--repair")
}

func (s *scenario) repairPath(t *testing.T) {
	s.repaired(t, s.text, "share/many/78", "--repair-path", s.text)
}

// checkBuild builds again and has Nix compare the results bit by bit.
func (s *scenario) checkBuild(t *testing.T) {
	if _, err := s.nixBuild(t.Context(), s.seed, "result", "--check"); err != nil {
		t.Fatalf("%v\n%s", err, storeState())
	}
}

// optimise has Nix replace equal files by hard links, and checks that every
// one of them has the inode number and the link count that follow from the
// contents of the whole store.
func (s *scenario) optimise(t *testing.T) {
	before := s.readStore(t)
	s.run(t, "nix-store", "--optimise")
	after := s.readStore(t)
	if d := diff(after.unlinked(), before.unlinked()); d != "" {
		t.Errorf("--optimise changed the store:\n%s", d)
	}
	checkLinks(t, after)
	s.verify(t)
}

// readStore reads all valid paths of the store.
func (s *scenario) readStore(t *testing.T) tree {
	t.Helper()
	all := tree{}
	for _, path := range s.validPaths(t) {
		for name, e := range readTree(t, filepath.Join(nixStores, path)) {
			all[filepath.Join(path, name)] = e
		}
	}
	return all
}

// checkLinks compares inode numbers and link counts with what Nix's
// optimisePath_ makes of a store: one inode for each set of equal files or
// symlinks, with one more link in .links.
func checkLinks(t *testing.T, store tree) {
	t.Helper()
	groups := map[entry][]string{}
	for name, e := range store.contents() {
		if !e.Mode.IsDir() {
			groups[e] = append(groups[e], name)
		}
	}
	for _, names := range groups {
		slices.Sort(names)
		want := entry{Ino: store[names[0]].Ino, Nlink: uint64(len(names)) + 1}
		for _, name := range names {
			if got := store[name]; got.Ino != want.Ino || got.Nlink != want.Nlink {
				t.Errorf("%s: got inode %d with %d links, want %d with %d", name, got.Ino, got.Nlink, want.Ino, want.Nlink)
			}
		}
	}
	links, err := os.ReadDir(nixLinks)
	try(t, err)
	if len(links) != len(groups) {
		t.Errorf("%s: got %d entries, want %d", nixLinks, len(links), len(groups))
	}
}

// repairOptimised corrupts a file that has several names, and repairs them all.
func (s *scenario) repairOptimised(t *testing.T) {
	s.repaired(t, s.text, "share/many/79", "--verify", "--check-contents", "--repair")
	s.run(t, "nix-store", "--optimise")
	checkLinks(t, s.readStore(t))
}

// exportImport takes a path out of the store through a file and back.
func (s *scenario) exportImport(t *testing.T) {
	path := s.run(t, "nix-store", "--add", filepath.Join(s.source, "d00"))
	want := readTree(t, path)
	file := filepath.Join(s.home, "export")
	s.run(t, "sh", "-c", "nix-store --export "+path+" >"+file)
	s.run(t, "nix-store", "--delete", path)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s after --delete: got %v, want that it does not exist\n%s", path, err, storeState())
	}
	got := s.run(t, "sh", "-c", "nix-store --import <"+file)
	if got != path {
		t.Errorf("--import: got %s, want %s", got, path)
	}
	if d := diff(readTree(t, path).unlinked(), want.unlinked()); d != "" {
		t.Errorf("%s after --import:\n%s\n%s", path, d, storeState())
	}
}

// parallelBuilds runs four nix-builds at once, which share one derivation,
// while the garbage collector runs again and again beside them.
func (s *scenario) parallelBuilds(t *testing.T) {
	const builds = 4
	type result struct {
		i    int
		path string
		err  error
	}
	done := make(chan result, builds)
	for i := range builds {
		go func() {
			path, err := s.buildParallel(t.Context(), i)
			done <- result{i, path, err}
		}()
	}
	paths := map[int]string{}
	collections := 0
	for ; len(paths) < builds; collections++ {
		if _, err := s.try(t.Context(), "nix-store", "--gc"); err != nil {
			t.Errorf("beside the builds: %v\n%s", err, storeState())
		}
		for len(done) > 0 {
			r := <-done
			paths[r.i] = r.path
			if r.err != nil {
				t.Errorf("%v\n%s", r.err, storeState())
			}
		}
	}
	t.Logf("%d garbage collections beside %d builds", collections, builds)
	for i, path := range paths {
		s.buildCollected(t, i, path)
		s.greets(t, path+"/bin/hello", s.parallelSeed(i))
	}
}

func (s *scenario) parallelSeed(i int) string { return fmt.Sprintf("%s-parallel-%d", s.seed, i) }

func (s *scenario) buildParallel(ctx context.Context, i int) (path string, err error) {
	return s.nixBuild(ctx, s.parallelSeed(i), fmt.Sprint("result-", i), "--argstr", "common", s.seed+"-parallel")
}

// buildCollected builds again what the collector took. Nix reads permanent roots
// before temporary ones, so a nix-build that ends between the two has neither
// (LocalStore::collectGarbage). That counts only where Nix's database says the
// same: a path that it holds valid has to be there.
func (s *scenario) buildCollected(t *testing.T, i int, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err == nil {
		return
	}
	if _, err := s.try(t.Context(), "nix-store", "--check-validity", path); err == nil {
		t.Fatalf("%s is valid and not there\n%s", path, storeState())
	}
	t.Logf("%s was collected as its build ended, and is built again", path)
	if _, err := s.buildParallel(t.Context(), i); err != nil {
		t.Fatalf("%v\n%s", err, storeState())
	}
}

// collectGarbageWhileRunning removes the last link to a program that runs: it
// is a root for as long as it runs, and is collected after that.
func (s *scenario) collectGarbageWhileRunning(t *testing.T) {
	cmd := s.command(t.Context(), filepath.Join(s.hello, "bin/wait"))
	stdin, err := cmd.StdinPipe()
	try(t, err)
	stdout, err := cmd.StdoutPipe()
	try(t, err)
	try(t, cmd.Start())
	lines := bufio.NewReader(stdout)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		t.Fatalf("%s: got %q and error %v, want ready", cmd.Path, line, err)
	}
	s.dropRoots(t)
	s.run(t, "nix-collect-garbage", "-d")
	if _, err := os.Lstat(s.hello); err != nil {
		t.Errorf("the path of a running program was collected: %v", err)
	}
	_, err = io.WriteString(stdin, "it\n")
	try(t, err)
	rest, err := io.ReadAll(lines)
	try(t, err)
	if got, want := string(rest), "hello from "+s.seed+"\ndone with it\n"; got != want {
		t.Errorf("%s: got %q, want %q", cmd.Path, got, want)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v", cmd.Path, err)
	}
	s.run(t, "nix-collect-garbage", "-d")
	if _, err := os.Lstat(s.hello); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s after its program ended: got %v, want that it does not exist\n%s", s.hello, err, storeState())
	}
}

// dropRoots removes the links and the generations that hold hello.
func (s *scenario) dropRoots(t *testing.T) {
	t.Helper()
	try(t, os.Remove(filepath.Join(s.home, "result")))
	s.run(t, "nix-env", "-p", s.profile(), "-e", "*")
}

// noStrays compares the store's listing with Nix's database.
func (s *scenario) noStrays(t *testing.T) {
	if got, want := storeNames(t), s.validPaths(t); !slices.Equal(got, want) {
		t.Errorf("the store holds\n%q\nand its database\n%q", got, want)
	}
	checkLeftovers(t)
}

// checkLeftovers looks for silly-renamed files on the mount, and behind it
// where a server could hide them.
func checkLeftovers(t *testing.T) {
	t.Helper()
	for _, root := range []string{nixRoot, os.Getenv(EnvExport)} {
		if found := nfsLeftovers(root); root != "" && len(found) > 0 {
			t.Errorf("left over in %s: %q", root, found)
		}
	}
	if os.Getenv(EnvExport) != "" {
		wantKept(t, 0)
	}
}

// empty removes every root: the collector then leaves nothing at all.
func (s *scenario) empty(t *testing.T) {
	links, err := filepath.Glob(filepath.Join(s.home, "result*"))
	try(t, err)
	generations, err := filepath.Glob(profiles + "*")
	try(t, err)
	s.run(t, "rm", append(links, generations...)...)
	s.run(t, "nix-collect-garbage", "-d")
	if got := storeNames(t); len(got) > 0 {
		t.Errorf("without roots the store still holds %q", got)
	}
	if links, err := os.ReadDir(nixLinks); err != nil || len(links) > 0 {
		t.Errorf("%s: got %d entries and error %v, want none", nixLinks, len(links), err)
	}
	checkLeftovers(t)
}

// nixMount skips the test unless the mount to test is where Nix's store is.
func nixMount(t *testing.T) {
	t.Helper()
	dir := Mount(t)
	testenv.Require(t, dir == nixRoot, "the mount to test is not at "+nixRoot)
	emptyDir(t, nixRoot)
	t.Cleanup(func() { emptyDir(t, nixRoot) })
}

// TestNixStore runs the scenario with /nix/var on the mount, once with SQLite's
// write-ahead log and once without, and with /nix/var on a native directory.
func TestNixStore(t *testing.T) {
	tests := []struct {
		name, config string
		nativeVar    bool
		files        int
	}{
		{name: "var-on-mount", files: treeFiles},
		{name: "var-on-mount-no-wal", config: "use-sqlite-wal = false\n", files: smallTreeFiles},
		{name: "var-native", nativeVar: true, files: treeFiles},
	}
	if onHFSPlus() { // this is about names, and the driver is slow
		tests = tests[:1]
		tests[0].files = smallTreeFiles
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nixMount(t)
			u := newNixUser(t, -1)
			u.env = append(u.env, "NIX_CONFIG="+nixConfig+tt.config)
			if tt.nativeVar {
				dir := filepath.Join(u.home, "var")
				try(t, os.Mkdir(dir, 0o755))
				try(t, os.Symlink(dir, nixRoot+"/var"))
			}
			newScenario(t, u, "one", tt.files).steps(t)
		})
	}
}
