package testenv

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// SetLoopback sets the loopback device of this network namespace up or down, which takes root.
func SetLoopback(t testing.TB, up bool) {
	t.Helper()
	if err := setFlags("lo", up); err != nil {
		t.Fatalf("set the loopback device up (%t): %v", up, err)
	}
}

func setFlags(device string, up bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	if up {
		r.SetUint16(unix.IFF_UP)
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// Stop stops a process (SIGSTOP), and returns when it has come to rest.
func Stop(t testing.TB, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatalf("stop process %d: %v", pid, err)
	}
	Await(t, "the process has stopped", func() bool { return state(t, pid) == "T" })
}

// Continue has a process go on that was stopped.
func Continue(t testing.TB, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		t.Fatalf("continue process %d: %v", pid, err)
	}
}

// state is a process's state as ps(1) has it.
func state(t testing.TB, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest[:1]
}
