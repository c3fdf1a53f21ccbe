//go:build linux

package guest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
)

var tortureKills = flag.Int("kills", 5, "how often TestTorture kills the server")

// torture is what works while the server is killed.
type torture struct {
	*nixUser
	t       *testing.T
	seed    uint64
	enough  atomic.Bool
	done    atomic.Int64 // operations: builds, git commands, transactions, fsyncs
	reports []func()     // how each worker's work is looked at afterwards
}

// TestTorture has four nix-builds, git, two SQLite writers and one that keeps checksums work
// on the mount, while the server is killed again and again and started anew. None of them
// sees an error. Afterwards the client has forgotten everything, and all that was acknowledged
// is there: rows, blocks that were synced, builds with the hashes that they have on a plain
// file system. Nothing is left over, and fsck finds nothing.
func TestTorture(t *testing.T) {
	nixMount(t)
	x := newTorture(t)
	kills := x.work()
	t.Logf("%d kills of the server, %d operations, random seed %d", kills, x.done.Load(), x.seed)
	x.remount()
	for _, report := range x.reports {
		report()
	}
	checkLeftovers(t)
	x.checkStore()
}

func newTorture(t *testing.T) *torture {
	t.Helper()
	x := &torture{nixUser: newNixUser(t, -1), t: t, seed: uint64(time.Now().UnixNano())}
	x.env = append(x.env, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	x.run(t, "nix-store", "--init")
	return x
}

// work has everybody work until the server was killed often enough, and gives how often.
func (x *torture) work() (kills int) {
	x.t.Helper()
	workers := []func(context.Context, int) error{x.gitWorker(), x.rowWriter("delete"), x.rowWriter("wal"), x.blockWriter()}
	for i := range 4 {
		workers = append(workers, x.builder(i))
	}
	var working sync.WaitGroup
	defer working.Wait()
	ctx, cancel := context.WithCancel(x.t.Context())
	defer cancel()
	for _, round := range workers {
		working.Go(func() { x.rounds(ctx, round) })
	}
	kills = x.kill()
	x.enough.Store(true)
	working.Wait()
	return kills
}

// rounds works until it is enough, or something went wrong.
func (x *torture) rounds(ctx context.Context, round func(context.Context, int) error) {
	for i := 0; !x.enough.Load(); i++ {
		if err := round(ctx, i); err != nil {
			x.t.Errorf("random seed %d: %v\n%s", x.seed, err, storeState())
			x.enough.Store(true)
		}
	}
}

// kill kills the server at random moments, after the client has found it again and some
// work was done.
func (x *torture) kill() (kills int) {
	x.t.Helper()
	rnd := rand.New(rand.NewPCG(x.seed, 0))
	for kills < *tortureKills && !x.enough.Load() {
		if err := reachServer(); err != nil {
			x.t.Errorf("statfs %s after kill %d: %v", nixRoot, kills, err)
		}
		for was := x.done.Load(); x.done.Load() == was && !x.enough.Load(); {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(maxPause)))) // the moment of the kill
		Control(x.t, "restart")
		kills++
	}
	return kills
}

// remount has the client forget all that it knows.
func (x *torture) remount() {
	x.t.Helper()
	Control(x.t, "umount")
	Control(x.t, "mount")
}

// checkStore looks through the store with the server down.
func (x *torture) checkStore() {
	x.t.Helper()
	Control(x.t, "umount")
	Control(x.t, "stop")
	out, code := nixnfsd(x.t, "fsck", "--upper", Export(x.t), "--state", spec.Scratch+"/state")
	if code != 0 {
		x.t.Errorf("fsck: exit code %d\n%s", code, out)
	}
	Control(x.t, "start")
	Control(x.t, "mount")
}

// tortureScript builds a path of many small files, each renamed into place, and a larger one
// with two names.
const tortureScript = `
mkdir -p $out/many
i=0
while [ $i -lt 40 ]; do
  echo "$seed $i" >$out/many/tmp-$i
  mv $out/many/tmp-$i $out/many/$i
  i=$((i+1))
done
while [ $i -lt 1000 ]; do echo "$seed line $i"; i=$((i+1)); done >$out/large
ln $out/large $out/linked
mv $out/large $out/moved
chmod +x $out/many/7
ln -s many/7 $out/link
`

// builder builds another path in each round. Afterwards each has the hash that the same
// commands make on a plain file system, in Nix's database and by its contents.
func (x *torture) builder(number int) func(context.Context, int) error {
	expression := x.write(x.t, "torture.nix", `{ seed }: derivation {
  name = "torture-${seed}"; inherit seed; system = builtins.currentSystem; builder = "/bin/sh";
  PATH = "/usr/bin:/bin"; args = [ "-euc" (builtins.readFile ./torture.sh) ];
}`)
	x.write(x.t, "torture.sh", tortureScript)
	built := map[string]string{}
	x.reports = append(x.reports, func() {
		if number == 0 {
			x.run(x.t, "nix-store", "--verify", "--check-contents")
		}
		for seed, path := range built {
			x.checkBuilt(seed, path)
		}
		x.t.Logf("builder %d: %d builds", number, len(built))
	})
	return func(ctx context.Context, round int) error {
		seed := fmt.Sprintf("%d-%d", number, round)
		path, err := x.try(ctx, "nix-build", expression, "-o", filepath.Join(x.home, "result-"+seed), "--argstr", "seed", seed)
		if err != nil {
			return err
		}
		built[seed] = path
		x.done.Add(1)
		return nil
	}
}

func (x *torture) checkBuilt(seed, path string) {
	x.t.Helper()
	plain := filepath.Join(x.home, "plain-"+seed)
	x.run(x.t, "env", "seed="+seed, "out="+plain, "sh", "-euc", tortureScript)
	want := x.run(x.t, "nix-hash", "--type", "sha256", "--base32", plain)
	if got := x.run(x.t, "nix-hash", "--type", "sha256", "--base32", path); got != want {
		x.t.Errorf("NAR hash of %s: got %s, want %s", path, got, want)
	}
	if got := x.run(x.t, "nix-store", "-q", "--hash", path); got != "sha256:"+want {
		x.t.Errorf("NAR hash of %s in the database: got %s, want %s", path, got, want)
	}
}

// gitWorker clones a repository, commits, collects garbage and checks. The last clones stay.
func (x *torture) gitWorker() func(context.Context, int) error {
	source := filepath.Join(x.home, "source")
	writeTree(x.t, source, "torture", 80)
	x.run(x.t, "git", "init", "-q", source)
	x.run(x.t, "git", "-C", source, "add", "-A")
	x.run(x.t, "git", "-C", source, "commit", "-q", "-m", "all")
	clone := func(i int) string { return filepath.Join(nixRoot, fmt.Sprint("torture-clone-", i)) }
	last := -1
	x.reports = append(x.reports, func() {
		for i := max(0, last-1); i <= last; i++ {
			x.run(x.t, "git", "-C", clone(i), "fsck", "--full", "--strict")
			if changed := x.run(x.t, "git", "-C", clone(i), "status", "--porcelain"); changed != "" {
				x.t.Errorf("git status in %s: %s", clone(i), changed)
			}
		}
		x.t.Logf("git: %d rounds", last+1)
	})
	return func(ctx context.Context, round int) error {
		last = round
		dir := clone(round)
		for _, args := range [][]string{
			{"clone", "-q", "file://" + source, dir},
			{"-C", dir, "rm", "-q", "-r", "d00"},
			{"-C", dir, "commit", "-q", "-m", "less"},
			{"-C", dir, "gc", "-q", "--prune=now"},
			{"-C", dir, "fsck", "--full", "--strict"},
		} {
			if _, err := x.try(ctx, "git", args...); err != nil {
				return err
			}
			x.done.Add(1)
		}
		if round < 2 {
			return nil
		}
		return os.RemoveAll(clone(round - 2))
	}
}

// rowWriter inserts rows into a database, one transaction each, and notes those that were
// acknowledged in a file beside the mount.
func (x *torture) rowWriter(mode string) func(context.Context, int) error {
	const rows = 5
	db := filepath.Join(nixRoot, "torture-"+mode+".db")
	x.run(x.t, "sqlite3", db, "PRAGMA journal_mode="+mode+"; CREATE TABLE rows(name TEXT PRIMARY KEY, filler BLOB)")
	acknowledged := x.newLog("rows-" + mode)
	x.reports = append(x.reports, func() {
		want := acknowledged.lines()
		if got := x.run(x.t, "sqlite3", db, "PRAGMA integrity_check"); got != "ok" {
			x.t.Errorf("%s: integrity check: got %s", db, got)
		}
		got := x.run(x.t, "sqlite3", db, "SELECT name FROM rows ORDER BY rowid")
		if got != strings.Join(want, "\n") {
			x.t.Errorf("%s: got %d rows, want %d that were acknowledged", db, len(strings.Fields(got)), len(want))
		}
		x.t.Logf("SQLite, %s: %d transactions", mode, len(want))
	})
	return func(ctx context.Context, round int) error {
		for i := range rows {
			name := fmt.Sprintf("%d-%d", round, i)
			got, err := x.try(ctx, "sqlite3", "-bail", "-cmd", ".timeout 60000", db, "PRAGMA synchronous=FULL; "+insert(name))
			if err != nil || got != name {
				return errors.Join(err, fmt.Errorf("insert %s: got %q", name, got))
			}
			if err := acknowledged.add(name); err != nil {
				return err
			}
			x.done.Add(1)
		}
		return nil
	}
}
