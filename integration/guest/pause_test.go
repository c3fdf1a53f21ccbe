//go:build linux

package guest

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

var pause = flag.Duration("pause", 0, "how long the tests of pauses hold up server and network, at least")

// TestFaultStopped stops the server's process (SIGSTOP), with a writer at work: all who
// touch the mount wait, and go on without an error when the server does.
func TestFaultStopped(t *testing.T) {
	pid := pausable(t)
	waitOut(t, func() {
		try(t, unix.Kill(pid, unix.SIGSTOP))
		await(t, "the server is stopped", func() bool { return processState(t, pid) == "T" })
	}, func() { try(t, unix.Kill(pid, unix.SIGCONT)) })
}

// TestFaultNetwork sets the loopback device down and up again: a pause. Where the server was
// restarted meanwhile, no end has heard of the other's; it finds out, and there is another
// connection.
func TestFaultNetwork(t *testing.T) {
	pausable(t)
	t.Cleanup(func() { setLoopback(t, true) }) // or all that follows would hang
	down, up := func() { setLoopback(t, false) }, func() { setLoopback(t, true) }
	t.Run("for a moment", func(t *testing.T) { waitOut(t, down, up) })
	t.Run("with a connection that is dead", func(t *testing.T) {
		waitOut(t, down, func() {
			Control(t, "restart")
			up()
		})
	})
}

// pausable serves a mount, and gives the server's process.
func pausable(t *testing.T) (pid int) {
	t.Helper()
	testenv.Require(t, os.Getuid() == 0, "to stop the network takes root")
	layered(t, func([]string) {})
	pid, found := serverProcess("nixnfsd")
	if !found {
		t.Fatal("no nixnfsd runs")
	}
	return pid
}

// waitScript appends what it reads to a file, has that stored, and makes a directory.
const waitScript = `cat >>"$1/file"; sync "$1/file"; mkdir "$1/made"; stat -f "$1"`

// waitOut has a file written while the mount does not answer, and compares it. A process of
// its own writes: one with such a file open could not start any other until all is stored.
func waitOut(t *testing.T, stop, goOn func()) {
	t.Helper()
	dir := Dir(t)
	path := filepath.Join(dir, "file")
	before, during := strings.Repeat("before\n", 10_000), strings.Repeat("during\n", 10_000)
	writeFile(t, path, before)
	stop()
	done := make(chan error, 1)
	go func() {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", waitScript, "sh", dir)
		cmd.Stdin = strings.NewReader(during)
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		done <- err
	}()
	await(t, "a call waits for the server", func() bool { return callsWait(t) })
	time.Sleep(*pause)
	select {
	case err := <-done:
		t.Fatalf("done without a server: %v", err)
	default:
	}
	goOn()
	if err := <-done; err != nil {
		t.Errorf("after the pause: %v", err)
	}
	checkFile(t, path, before+during)
}

// await waits until cond holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain until", what)
		}
	}
}

// processState is a process's state as in ps(1).
func processState(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	try(t, err)
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest[:1]
}

// callsWait reports whether a connection has bytes that were not acknowledged, or not read.
func callsWait(t *testing.T) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	try(t, err)
	for _, line := range strings.Split(string(table), "\n") {
		f := strings.Fields(line)
		if len(f) > 4 && f[3] == "01" && f[4] != "00000000:00000000" { // TCP_ESTABLISHED
			return true
		}
	}
	return false
}

func setLoopback(t *testing.T, up bool) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	try(t, err)
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	try(t, err)
	if up {
		r.SetUint16(unix.IFF_UP)
	}
	try(t, unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r))
}
