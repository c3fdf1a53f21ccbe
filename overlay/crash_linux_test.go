package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/sysfault"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// A process that ends at any system call of any operation leaves the operation done or
// not done: nothing is half made, lost or come back, and handles go on.
// A call before which neither the disk nor the journal changed is the same point as the
// one before it, and is counted only.
func TestCrashMatrix(t *testing.T) {
	calls, points := 0, 0
	eachScene(t, func(t *testing.T, sc *scene, lowers int) {
		r := sc.rehearse(t, lowers)
		dir := fastDir(t)
		for n := range r.calls {
			calls++
			if !r.calls[n].changed {
				continue
			}
			points++
			s := sc.set(t, filepath.Join(dir, fmt.Sprint(n)), lowers)
			if at := s.crash(n); at != "" {
				s.examine(r, fmt.Sprintf("ended at call %d, %s", n, at))
			}
			s.strike()
		}
	})
	t.Logf("%d system calls to end at, %d different states left", calls, points)
}

// crash runs the operation until its nth system call: that one and what comes after
// has no effect, nor has the journal. It gives the call's name, or "" when there was none.
func (s *stage) crash(n int) (at string) {
	s.t.Helper()
	op := s.sc.op(s.tree)
	restore := func() {}
	var over atomic.Bool // the operation ended before
	rule := func(c sysfault.Call) sysfault.Answer {
		switch {
		case at == "" && over.Load():
			return sysfault.Answer{}
		case c.N < n:
			return sysfault.Answer{Pretend: isSync(c)}
		case c.N == n:
			at, restore = c.Name, s.keepState()
		}
		return sysfault.Answer{Errno: syscall.EIO}
	}
	err := sysfault.Run(rule, func() {
		_ = op()
		over.Store(true)
		_ = s.Close()
	})
	if err != nil {
		s.t.Fatal(err)
	}
	restore()
	return at
}

// examine looks at what a crash left: with the state directory, without it, and by
// running the operation once more where it was not done.
func (s *stage) examine(r *reference, label string) {
	s.t.Helper()
	fail := func(format string, args ...any) { s.t.Errorf("%s: %s", label, fmt.Sprintf(format, args...)) }
	if err := s.reopened(); err != nil {
		fail("%v", err)
		return
	}
	v, err := look(s.FS)
	if err != nil {
		fail("look: %v", err)
		return
	}
	before, after := exactly(s.before), r.of(s.before)
	want, diffBefore, diffAfter := before, before.differs(v), after.differs(v)
	switch {
	case diffBefore == "":
	case diffAfter == "":
		want = after
	case s.sc.parts && between(before, after, v):
		want = exactly(v)
	default:
		fail("neither not done (%s) nor done (%s)", diffBefore, diffAfter)
		return
	}
	if d := want.handles(s.FS, s.before); d != "" {
		fail("%s", d)
	}
	if s.sc.again || diffBefore == "" && diffAfter != "" {
		if err := s.sc.op(s.tree)(); err != nil {
			fail("once more: %v", err)
			want = exactly(s.look(label))
		} else if d := after.differs(s.look(label)); d != "" {
			fail("once more: %s", d)
		} else {
			want = after
		}
	}
	s.close()
	s.workIsSwept(label)
	s.isSound(label)
	s.withoutState(want, label)
}

// reopened opens what a crash left.
func (s *stage) reopened() error {
	fs, err := overlay.Open(s.options)
	if err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	s.FS = fs
	return nil
}

// withoutState looks at the same tree without what the state directory remembers: it
// is the same but for the numbers of what cannot carry them.
func (s *stage) withoutState(want expected, label string) {
	s.t.Helper()
	state := s.options.State
	defer func() { s.options.State = state }()
	s.options.State = ""
	if err := s.reopened(); err != nil {
		s.t.Errorf("%s, without state: %v", label, err)
		return
	}
	defer s.close()
	v, err := look(s.FS)
	if err != nil {
		s.t.Errorf("%s, without state: %v", label, err)
		return
	}
	loose := expected{}
	for p, o := range want {
		typ := o.mode & overlay.ModeType
		o.isNew = o.isNew || typ != overlay.ModeRegular && typ != overlay.ModeDir
		loose[p] = o
	}
	if d := loose.differs(v); d != "" {
		s.t.Errorf("%s, without state: %s", label, d)
	}
}

// isSound has fsck find nothing that a client could tell.
func (s *stage) isSound(label string) {
	s.t.Helper()
	err := overlay.Fsck(s.t.Context(), s.options, false, func(p overlay.Problem) {
		if !p.Harmless {
			s.t.Errorf("%s: fsck finds %s: %s: %s", label, p.Kind, p.Path, p.What)
		}
	})
	if err != nil {
		s.t.Errorf("%s: %v", label, err)
	}
}

// workIsSwept checks that an overlay in use left nothing half made behind.
func (s *stage) workIsSwept(label string) {
	s.t.Helper()
	if left := s.leftovers(); left != nil {
		s.t.Errorf("%s: the work directory still holds %q", label, left)
	}
}

// leftovers are the names in the work directory of what is half made.
func (s *stage) leftovers() (names []string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.options.Upper + ".work")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "index" && e.Name() != "silly" && e.Name() != "upper" && e.Name() != "spaces" && e.Name() != "lowers" {
			names = append(names, e.Name())
		}
	}
	return names
}
