package sysfault

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	made, failed, pretended := filepath.Join(dir, "made"), filepath.Join(dir, "failed"), filepath.Join(dir, "pretended")
	var names []string
	var mutating []bool
	rule := func(c Call) Answer {
		names, mutating = append(names, c.Name), append(mutating, c.Mutates)
		return []Answer{{}, {}, {Errno: unix.ENOSPC}, {Pretend: true}}[c.N]
	}
	var errs [4]error
	err := Run(rule, func() {
		var st unix.Statx_t
		errs[0] = unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_BASIC_STATS, &st)
		errs[1] = unix.Mkdirat(unix.AT_FDCWD, made, 0o700)
		errs[2] = unix.Mkdirat(unix.AT_FDCWD, failed, 0o700)
		errs[3] = unix.Mkdirat(unix.AT_FDCWD, pretended, 0o700)
	})
	testenv.Require(t, err == nil, "the kernel has no seccomp user notification")
	if want := [4]error{2: syscall.ENOSPC}; errs != want {
		t.Errorf("the calls gave %v, want %v", errs, want)
	}
	if want := []string{"statx", "mkdirat", "mkdirat", "mkdirat"}; !slices.Equal(names, want) {
		t.Errorf("calls %v, want %v", names, want)
	}
	if want := []bool{false, true, true, true}; !slices.Equal(mutating, want) {
		t.Errorf("mutating %v, want %v", mutating, want)
	}
	for path, want := range map[string]bool{made: true, failed: false, pretended: false} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it to be there: %v", filepath.Base(path), err, want)
		}
	}
}

// The filter ends with the function: what comes after, on whatever thread, is not asked about.
func TestRunEnds(t *testing.T) {
	for range 100 {
		calls := 0
		err := Run(func(Call) Answer { calls++; return Answer{} }, func() { _, _ = unix.Open("/", unix.O_PATH, 0) })
		testenv.Require(t, err == nil, "the kernel has no seccomp user notification")
		if _, err := os.Stat("/"); err != nil {
			t.Fatal(err)
		}
		if calls != 1 {
			t.Fatalf("%d calls, want 1", calls)
		}
	}
}
