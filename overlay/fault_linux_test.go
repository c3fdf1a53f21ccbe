package overlay_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/sysfault"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// faults are the errors that a disk, its quota and the process's limits give.
var faults = []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.EROFS}

// An operation that fails at any system call with any of these errors says so and leaves
// what was, or it is done; the next one works, and nothing stays open or locked.
func TestFaultMatrix(t *testing.T) {
	points := 0
	eachScene(t, func(t *testing.T, sc *scene, lowers int) {
		r := sc.rehearse(t, lowers)
		dir := fastDir(t)
		for n, call := range r.calls {
			for i, errno := range faults {
				if !*wholeMatrix && (n+len(sc.name))%len(faults) != i {
					continue
				}
				points++
				open := openFiles(t)
				s := sc.set(t, filepath.Join(dir, fmt.Sprint(n, i)), lowers)
				label := fmt.Sprintf("%v at call %d, %s", errno, n, call.Name)
				s.weather(r, n, errno, label)
				s.close()
				if now := openFilesAfter(t, open); now > open {
					t.Errorf("%s: %d files are open, were %d", label, now, open)
				}
				if s.leftovers() != nil { // what could not be removed is at the next start
					s.openAgain()
					s.close()
				}
				s.workIsSwept(label)
				s.strike()
			}
		}
	})
	t.Logf("%d points", points)
}

// weather fails the operation's nth system call, and looks at what it made of that.
func (s *stage) weather(r *reference, n int, errno syscall.Errno, label string) {
	s.t.Helper()
	before, after := exactly(s.before), r.of(s.before)
	err := s.fail(n, errno)
	v, lookErr := look(s.FS)
	if lookErr != nil {
		s.t.Errorf("%s: look: %v", label, lookErr)
		return
	}
	done, undone := after.differs(v) == "", before.differs(v) == ""
	switch {
	case err == nil && !done:
		s.t.Errorf("%s: no error, but: %s", label, after.differs(v))
		return
	case err == nil:
		return
	case !errors.Is(err, errno):
		s.t.Errorf("%s: the error is %v", label, err)
	case done && strings.HasSuffix(r.calls[n].Name, "sync"):
		return // written, but not on disk: the client has to hear of it
	case !undone && !(s.sc.parts && between(before, after, v)):
		s.t.Errorf("%s: failed, but: %s", label, before.differs(v))
		return
	}
	if err := s.sc.op(s.tree)(); err != nil {
		s.t.Errorf("%s: once more: %v", label, err)
	} else if d := after.differs(s.look(label)); d != "" {
		s.t.Errorf("%s: once more: %s", label, d)
	}
}

// fail runs the operation, whose nth system call fails.
func (s *stage) fail(n int, errno syscall.Errno) error {
	s.t.Helper()
	op := s.sc.op(s.tree)
	rule := func(c sysfault.Call) sysfault.Answer {
		if c.N == n {
			return sysfault.Answer{Errno: errno}
		}
		return sysfault.Answer{Pretend: isSync(c)}
	}
	var result atomic.Pointer[error]
	err := sysfault.Run(rule, func() {
		err := op()
		result.Store(&err)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return *result.Load()
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// openFilesAfter waits until no more than a number of files are open, as a sweep of
// objects that were removed young may be under way, or for a second.
func openFilesAfter(t *testing.T, want int) int {
	t.Helper()
	for end := time.Now().Add(time.Second); ; runtime.Gosched() {
		if now := openFiles(t); now <= want || time.Now().After(end) {
			return now
		}
	}
}

// A start at which the system opens no file once fails, or goes on; handles are good then, and
// after the next start: also of a file that a client has open without a name.
func TestOpenFails(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/lower", "")
	tr.open()
	ids := []overlay.ID{tr.walk("lower").ID, tr.create(tr.Root(), "upper", "").ID, tr.create(tr.Root(), "open", "").ID}
	tr.mustRename(tr.Root(), "open", tr.Root(), fmt.Sprintf(".nfs%016x%08x", ids[2].Fileid, 1))
	good := func(n int) {
		for i, id := range ids {
			var a overlay.Attr
			if err := tr.Getattr(id, &a); err != nil {
				t.Errorf("file %d, after the failure of the open %d: %v", i, n, err)
			}
		}
	}
	for n, failed := 0, true; failed && !t.Failed(); n++ {
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		opened := 0
		failed = false
		rule := func(c sysfault.Call) (a sysfault.Answer) {
			if c.Name != "openat" {
				return a
			}
			if opened == n {
				failed, a.Errno = true, syscall.EMFILE
			}
			opened++
			return a
		}
		var err error
		start := func() { tr.FS, err = overlay.Open(tr.options) }
		testenv.Require(t, sysfault.Run(rule, start) == nil, "the kernel has no seccomp user notification")
		if err == nil {
			good(n)
			err = tr.Close()
		} else if errors.Is(err, syscall.EMFILE) {
			err = nil
		}
		if err != nil {
			t.Errorf("open %d fails: %v", n, err)
		}
		tr.open()
		good(n)
	}
}
