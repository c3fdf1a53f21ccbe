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
