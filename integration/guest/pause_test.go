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

	"github.com/nixnfsd/nixnfsd/internal/procnet"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

var pause = flag.Duration("pause", 0, "how long the tests of pauses hold up server and network, at least")

// TestFaultStopped stops the server's process (SIGSTOP), with a writer at work: all who
// touch the mount wait, and go on without an error when the server does.
func TestFaultStopped(t *testing.T) {
	pid := pausable(t)
	waitOut(t, func() { testenv.Stop(t, pid) }, func() { testenv.Continue(t, pid) })
}

// TestFaultNetwork sets the loopback device down and up again: a pause. Where the server was
// restarted meanwhile, no end has heard of the other's; it finds out, and there is another
// connection.
func TestFaultNetwork(t *testing.T) {
	pausable(t)
	t.Cleanup(func() { testenv.SetLoopback(t, true) }) // or all that follows would hang
	down, up := func() { testenv.SetLoopback(t, false) }, func() { testenv.SetLoopback(t, true) }
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
	testenv.Await(t, "a call waits for the server", callsWait)
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

// callsWait reports whether a connection has bytes that were not acknowledged, or not read.
func callsWait() bool {
	for s := range procnet.TCP() {
		if s.State == procnet.Established && (s.Unacked > 0 || s.Unread > 0) {
			return true
		}
	}
	return false
}
