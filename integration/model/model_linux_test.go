package model

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/overlay"
)

var (
	minTime = flag.Duration("model.time", 75*time.Second, "how long the model test runs at least")
	minStep = flag.Int("model.steps", 50000, "how many operations the model test makes at least")
)

// stepsARun is about how long a script is, and runsARound how many share a seed.
const (
	stepsARun  = 100
	runsARound = 50
)

// run is one script on one tree.
type run struct {
	*rapid.T
	places
	start  time.Time
	served *served
	kernel *kernel
	ids    map[uint64]uint64 // our fileids by the oracle's inode numbers
	steps  int
	// escaped says that our upper holds spelt names, which mean nothing to the kernel.
	escaped bool
}

// TestModel plays scripts until there were enough.
func TestModel(t *testing.T) { rounds(t, *minStep, *minTime, play) }

// rounds plays runs until there were enough steps and time. Rounds have seeds 1, 10001,
// 20001, …, or start at -rapid.seed.
func rounds(t *testing.T, least int, atLeast time.Duration, play func(t *rapid.T, at places) int) {
	t.Helper()
	dirs := places{filepath.Join(scratch(t), "run"), filepath.Join(scratch(t), "run")}
	seed := flag.Lookup("rapid.seed").Value.String()
	first, err := strconv.ParseUint(seed, 10, 64)
	must(t, err)
	t.Cleanup(func() { must(t, flag.Set("rapid.seed", seed)) })
	must(t, flag.Set("rapid.nofailfile", "true")) // the seed and the script tell enough
	must(t, flag.Set("rapid.checks", strconv.Itoa(runsARound)))
	must(t, flag.Set("rapid.steps", strconv.Itoa(stepsARun)))
	steps, start := 0, time.Now()
	for round := 0; steps < least || time.Since(start) < atLeast; round++ {
		must(t, flag.Set("rapid.seed", strconv.FormatUint(max(first, 1)+uint64(round)*10000, 10)))
		if !t.Run("round", rapid.MakeCheck(func(rt *rapid.T) { steps += play(rt, dirs) })) {
			return
		}
	}
	t.Logf("%d steps in %v", steps, time.Since(start).Round(time.Second))
}

// places are where a run has its layers: all but some of the lower ones are in dir, those are on
// another file system.
type places struct{ dir, other string }

// play draws layers and a script, and plays it.
func play(t *rapid.T, at places) int {
	r := &run{T: t, places: at, ids: map[uint64]uint64{}}
	defer r.close()
	r.open(rapid.SampledFrom([]int{2, 2, 2, 1, 0, 5}).Draw(t, "lowers"), genLayer())
	t.Repeat(map[string]func(*rapid.T){
		"step": func(t *rapid.T) {
			s := genStep(readings, changes, wholes).Draw(t, "step")
			r.check(r.do(s))
		},
	})
	r.check(r.sameTrees())
	r.check(r.refusing(t))
	r.check(r.sameInLayers())
	return r.steps
}

// check fails the run. All differences are told here: rapid takes those from one place
// for the same.
func (r *run) check(difference string) {
	if difference != "" {
		r.Fatalf("%s", difference)
	}
}

// open makes the layers, twice, and opens both sides.
func (r *run) open(lowers int, genLayer *rapid.Generator[[]entry]) {
	must(r, errors.Join(os.RemoveAll(r.dir), os.RemoveAll(r.other)))
	var mine, theirs []string
	for i := range lowers {
		layer, dir := genLayer.Draw(r.T, "lower"), r.dir
		if rapid.IntRange(0, 3).Draw(r.T, "elsewhere") == 3 {
			dir = r.other
		}
		name := fmt.Sprint("lower", i)
		mine = append(mine, filepath.Join(dir, "ours", name))
		theirs = append(theirs, filepath.Join(dir, "kernel", name))
		must(r, unprivileged.write(mine[i], layer, i))
		must(r, privileged.write(theirs[i], layer, i))
	}
	r.start = time.Now().Add(-time.Second) // a clock of ticks stands behind
	var err error
	r.kernel, err = newKernel(filepath.Join(r.dir, "kernel"), theirs)
	must(r, err)
	if rapid.IntRange(0, 4).Draw(r.T, "escaped") == 4 {
		r.escape()
	}
	r.served, err = newServed(r.Context(), filepath.Join(r.dir, "ours"), mine)
	must(r, err)
}

// escape has our upper spell names as on a volume that folds them.
func (r *run) escape() {
	upper := filepath.Join(r.dir, "ours", "upper")
	must(r, os.MkdirAll(upper, 0o755))
	must(r, unix.Setxattr(upper, "user.nixnfsd.names", []byte("escaped"), 0))
	r.escaped = true
}

func (r *run) close() {
	if r.served != nil {
		_ = r.served.stop()
	}
	if r.kernel != nil {
		_ = r.kernel.close()
	}
	_ = unix.Unmount(filepath.Join(r.dir, "view"), unix.MNT_DETACH)
}

// do plays one step on both sides.
func (r *run) do(s step) string {
	r.steps++
	if o, ok := s.do.(whole); ok {
		r.Logf("%v", s)
		return o.do(r)
	}
	o := s.do.(op)
	ours, theirs := o.ours(r.served), o.theirs(r.kernel)
	r.Logf("%v: we %v, the kernel %v", s, ours.err, theirs.err)
	return r.differ(&ours, &theirs)
}

// whole is a step that is not about one object.
type whole interface{ do(r *run) string }

// compare compares both trees whole.
type compare struct{}

func (compare) do(r *run) string { return r.sameTrees() }

// restart opens the overlay anew.
type restart struct {
	// lose says that the state directory is lost: handles are, too.
	lose bool
}

func (o restart) do(r *run) string {
	if s := r.stop(); s != "" {
		return s
	}
	if o.lose {
		must(r, os.RemoveAll(r.served.options.State))
	}
	if err := r.served.start(); err != nil {
		return err.Error()
	}
	if o.lose {
		return r.holdAnew()
	}
	return ""
}

// stop closes our side, and has fsck look for what is wrong with it.
func (r *run) stop() string {
	if err := r.served.stop(); err != nil {
		return err.Error()
	}
	wrong := ""
	err := overlay.Fsck(r.served.ctx, r.served.options, false, func(p overlay.Problem) {
		if !p.Harmless {
			wrong += fmt.Sprintf("fsck: %s %s\n", p.Kind, strings.TrimPrefix(p.Path, r.dir))
		}
	})
	if err != nil {
		return err.Error()
	}
	return wrong
}

// refusing opens our side read-only: it shows the same, and refuses every change.
func (r *run) refusing(t *rapid.T) string {
	if s := r.stop(); s != "" {
		return s
	}
	r.served.options.ReadOnly = true
	if err := r.served.start(); err != nil {
		return err.Error()
	}
	for _, s := range rapid.SliceOfN(genStep(changes), 0, 10).Draw(t, "read-only") {
		if a := s.do.(op).ours(r.served); a.err == nil {
			return fmt.Sprintf("%v read-only is done", s)
		}
	}
	return r.sameTrees()
}

// holdAnew looks up what is held. Without state, only files and directories keep their
// fileids when they were copied up: Linux lets no others carry a mark.
func (r *run) holdAnew() string {
	for ino, fd := range r.kernel.pinned {
		a, err := r.kernel.attr(fd)
		must(r, err)
		if a.typ != nfsclient.Reg && a.typ != nfsclient.Dir {
			delete(r.ids, ino)
		}
	}
	for i := range slots {
		fd, err := r.kernel.base(i)
		if err != nil { // gone, or nothing was held
			_ = unix.Close(r.kernel.slots[i])
			r.kernel.slots[i], r.served.slots[i] = -1, ""
			continue
		}
		path, err := os.Readlink(procPath(fd))
		must(r, err)
		unix.Close(fd)
		at := where("/" + strings.TrimPrefix(path[len(r.kernel.root):], "/"))
		if r.served.slots[i], err = r.served.find(at); err != nil {
			return fmt.Sprintf("%v after the restart: %v", at, err)
		}
	}
	return ""
}
