package overlay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/sysfault"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// killing tells the process that TestKillMatrix starts what to do: the operation of a
// scene that is set up in a directory, until the nth system call.
type killing struct {
	Scene  string
	Lowers int
	Dir    string
	Call   int
}

// killingVariable has it, in JSON.
const killingVariable = "NIXNFSD_TEST_KILLING"

// A process that is killed (SIGKILL) at any system call of any operation leaves what
// TestCrashMatrix says, and one that is killed after the operation leaves it done. The
// test is its own victim: it starts itself again on the directories of each point.
// Without -matrix every few of the points stand for all.
func TestKillMatrix(t *testing.T) {
	if order := os.Getenv(killingVariable); order != "" {
		beKilled(t, order)
		return
	}
	const share = 17
	all, points, ended := 0, 0, 0
	eachScene(t, func(t *testing.T, sc *scene, lowers int) {
		if lowers != 2 && !*wholeMatrix {
			return
		}
		dir := fastDir(t)
		s := sc.set(t, filepath.Join(dir, "rehearsal"), lowers)
		s.close()
		s.openAgain() // as the victim does
		s.look("reopened")
		r := s.rehearse()
		for n := range len(r.calls) + 1 {
			if n < len(r.calls) && !r.calls[n].changed {
				continue
			}
			if all++; all%share != 0 && !*wholeMatrix {
				continue
			}
			points++
			s := sc.set(t, filepath.Join(dir, fmt.Sprint(n)), lowers)
			s.close()
			switch killed := s.kill(killing{sc.name, lowers, s.dir, n}); {
			case !killed:
				ended++
			case n == len(r.calls):
				s.examineDone(r, "killed after the operation")
			default:
				s.examine(r, fmt.Sprintf("killed at call %d, %s", n, r.calls[n].Name))
			}
			s.strike()
		}
	})
	t.Logf("killed at %d of %d points; %d ended with fewer calls than foreseen", points-ended, all, ended)
	if ended > points/10 {
		t.Errorf("%d of %d processes were not killed", ended, points)
	}
}

// kill starts the victim, and reports whether it was killed: the number of calls is
// not always the same.
func (s *stage) kill(k killing) bool {
	s.t.Helper()
	order, err := json.Marshal(k)
	if err != nil {
		s.t.Fatal(err)
	}
	victim := exec.CommandContext(s.t.Context(), "/proc/self/exe", "-test.run=^TestKillMatrix$")
	victim.Env = append(os.Environ(), killingVariable+"="+string(order))
	out, err := victim.CombinedOutput()
	var exit *exec.ExitError
	if err == nil {
		return false
	}
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		s.t.Fatalf("call %d: %v: %s", k.Call, err, out)
	}
	return true
}

// beKilled is the victim: it does the operation and is killed at the call.
func beKilled(t *testing.T, order string) {
	var k killing
	if err := json.Unmarshal([]byte(order), &k); err != nil {
		t.Fatal(err)
	}
	for _, sc := range scenes() {
		if sc.name == k.Scene {
			sc.beKilled(t, k)
			return
		}
	}
	t.Fatalf("no scene %q", k.Scene)
}

func (sc *scene) beKilled(t *testing.T, k killing) {
	fs, err := overlay.Open(optionsIn(k.Dir, k.Lowers))
	if err != nil {
		t.Fatal(err)
	}
	before, err := look(fs) // what clients know
	if err != nil || len(before) == 0 {
		t.Fatalf("look: %d objects, %v", len(before), err)
	}
	op := sc.op(&tree{t: t, FS: fs})
	calls := 0
	rule := func(c sysfault.Call) sysfault.Answer {
		if calls++; c.N == k.Call {
			killMyself()
		}
		return sysfault.Answer{Pretend: isSync(c)}
	}
	if err := sysfault.Run(rule, func() { err = op() }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatalf("undisturbed: %v", err)
	}
	if calls == k.Call {
		killMyself()
	}
}

// killMyself does not return.
func killMyself() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// examineDone looks at what was left after the operation was answered.
func (s *stage) examineDone(r *reference, label string) {
	s.t.Helper()
	if err := s.reopened(); err != nil {
		s.t.Errorf("%s: %v", label, err)
		return
	}
	want := r.of(s.before)
	if d := want.differs(s.look(label)); d != "" {
		s.t.Errorf("%s: %s", label, d)
	}
	if d := want.handles(s.FS, s.before); d != "" {
		s.t.Errorf("%s: %s", label, d)
	}
	s.close()
	s.workIsSwept(label)
	s.isSound(label)
	s.withoutState(want, label)
}
