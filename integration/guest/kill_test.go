//go:build linux

package guest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How often a test kills the server: at least so often in all, and at most
// so often in one round of its work, which has to come to an end.
const (
	minKills      = 6
	killsPerRound = 8
)

// maxPause is the longest that the server lives after the client has found
// it again.
const maxPause = 1500 * time.Millisecond

// killWhile kills the server with SIGKILL, at moments that differ, and starts
// it again, while the work runs. It returns the number of kills.
func killWhile(t *testing.T, rnd *rand.Rand, work func(context.Context) error) (kills int, err error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- work(t.Context()) }()
	for kills < killsPerRound {
		reached := make(chan error, 1)
		go func() { reached <- reachServer() }()
		select {
		case err := <-done:
			return kills, err
		case err := <-reached:
			if err != nil {
				t.Errorf("statfs %s after kill %d: %v", nixRoot, kills, err)
			}
		}
		pause := time.Duration(rnd.Int64N(int64(maxPause)))
		select {
		case err := <-done:
			return kills, err
		case <-time.After(pause):
			Control(t, "kill")
			Control(t, "start")
			kills++
		}
	}
	return kills, <-done
}

// reachServer returns when the server has answered a request: statfs is
// never answered from a cache.
func reachServer() error {
	var st syscall.Statfs_t
	return syscall.Statfs(nixRoot, &st)
}

// repeatKilled does rounds of work until there were enough kills.
func repeatKilled(t *testing.T, round func(ctx context.Context, i int) error) (rounds int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	kills := 0
	for kills < minKills {
		n, err := killWhile(t, rnd, func(ctx context.Context) error { return round(ctx, rounds) })
		kills += n
		rounds++
		if err != nil {
			t.Fatalf("round %d, %d kills, random seed %d: %v\n%s", rounds, kills, seed, err, storeState())
		}
	}
	t.Logf("%d kills of the server in %d rounds, random seed %d", kills, rounds, seed)
	return rounds
}

// killFiles is how many files a build or a repository has here: enough to
// keep the client busy for seconds.
const killFiles = 2000

// killExpression builds one path with many files, of which each is renamed
// into its place, and a large one.
const killExpression = `
{ seed }:
derivation {
  name = "many-${seed}";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = "/usr/bin:/bin";
  args = [ "-euc" ''
    mkdir -p $out/many
    i=0
    while [ $i -lt ` + "2000" + ` ]; do
      [ $((i % 100)) != 0 ] || mkdir $out/many/d$((i / 100))
      echo "${seed} $i" >$out/many/d$((i / 100))/$i
      i=$((i+1))
    done
    i=0
    while [ $i -lt 100000 ]; do echo "${seed} line $i"; i=$((i+1)); done >$out/large
    ln $out/large $out/linked
    mv $out/large $out/moved
  '' ];
}
`

// TestKillDuringBuild kills the server again and again while nix-build
// runs. Every build finishes, with every byte.
func TestKillDuringBuild(t *testing.T) {
	nixMount(t)
	u := newNixUser(t, -1)
	u.run(t, "nix-store", "--init")
	expression := u.write(t, "many.nix", killExpression)
	build := func(ctx context.Context, i int) error {
		link := filepath.Join(u.home, fmt.Sprint("result-", i))
		_, err := u.try(ctx, "nix-build", expression, "-o", link, "--argstr", "seed", fmt.Sprint(i))
		return err
	}
	rounds := repeatKilled(t, build)
	u.run(t, "nix-store", "--verify", "--check-contents")
	for i := range rounds {
		checkMany(t, filepath.Join(u.home, fmt.Sprint("result-", i)), fmt.Sprint(i))
	}
	checkLeftovers(t)
}

// checkMany compares what killExpression built with what it should have.
func checkMany(t *testing.T, out, seed string) {
	t.Helper()
	for i := range killFiles {
		name := fmt.Sprintf("many/d%d/%d", i/100, i)
		checkFile(t, filepath.Join(out, name), fmt.Sprintf("%s %d\n", seed, i))
	}
	var large strings.Builder
	for i := range 100000 {
		fmt.Fprintf(&large, "%s line %d\n", seed, i)
	}
	checkFile(t, filepath.Join(out, "moved"), large.String())
	checkFile(t, filepath.Join(out, "linked"), large.String())
	if _, err := os.Lstat(filepath.Join(out, "large")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s/large was moved away: got %v, want that it does not exist", out, err)
	}
}

func checkFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s: got %d bytes and error %v, want %d bytes", path, len(got), err, len(want))
	}
}

// TestKillDuringClone kills the server again and again while git clones a
// repository onto the mount.
func TestKillDuringClone(t *testing.T) {
	nixMount(t)
	u := newNixUser(t, -1)
	u.env = append(u.env, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	source := filepath.Join(u.home, "source")
	writeTree(t, source, "clone", killFiles)
	u.run(t, "git", "init", "-q", source)
	u.run(t, "git", "-C", source, "add", "-A")
	u.run(t, "git", "-C", source, "commit", "-q", "-m", "all")
	target := func(i int) string { return filepath.Join(nixRoot, fmt.Sprint("clone-", i)) }
	rounds := repeatKilled(t, func(ctx context.Context, i int) error {
		_, err := u.try(ctx, "git", "clone", "-q", "file://"+source, target(i))
		return err
	})
	for i := range rounds {
		checkClone(t, u, source, target(i))
	}
	checkLeftovers(t)
}

// checkClone has git check the clone and compares its files itself.
func checkClone(t *testing.T, u *nixUser, source, clone string) {
	t.Helper()
	u.run(t, "git", "-C", clone, "fsck", "--full", "--strict")
	if changed := u.run(t, "git", "-C", clone, "status", "--porcelain"); changed != "" {
		t.Errorf("git status in %s: %s", clone, changed)
	}
	got, want := workTree(t, clone), workTree(t, source)
	if d := diff(got, want); d != "" {
		t.Errorf("%s is not what was cloned:\n%s", clone, d)
	}
}

// workTree reads what git checked out: files and symlinks, not git's own
// files, and no directories, which git does not keep when they are empty.
func workTree(t *testing.T, root string) tree {
	t.Helper()
	files := readTree(t, root).contents()
	for name, e := range files {
		if e.Mode.IsDir() || strings.HasPrefix(name, ".git/") {
			delete(files, name)
		}
	}
	return files
}
