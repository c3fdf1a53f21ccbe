package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/sysfault"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/internal/wholefile"
)

// dieAt does steps, and has the process die at one of its changes to the machine: what comes after is not
// done any more. It reports whether there were that many.
func (m *machine) dieAt(n int, steps []Step) (died bool) {
	m.t.Helper()
	changes := 0
	err := sysfault.Run(func(c sysfault.Call) (a sysfault.Answer) {
		if c.Mutates {
			changes++
		}
		if died = died || changes > n; died && c.Mutates {
			a.Errno = unix.EIO
		}
		return a
	}, func() { _ = m.apply(steps) })
	testenv.Require(m.t, err == nil, "the kernel has no seccomp user notification")
	return died
}

// inMemory has a test's files be where an fsync takes no time, if there is such a place.
func inMemory(t *testing.T) {
	if err := unix.Access("/dev/shm", unix.W_OK); err == nil {
		t.Setenv("TMPDIR", "/dev/shm")
	}
}

// TestKilledAnywhere has the process die at each of its changes: all is taken back, at once or after a
// second run, and no half-written file is left.
func TestKilledAnywhere(t *testing.T) {
	inMemory(t)
	for _, again := range []bool{false, true} {
		for n, died := 0, true; died; n++ {
			m := newMachine(t)
			died = m.dieAt(n, m.steps())
			if again {
				if err := m.apply(m.steps()); err != nil {
					t.Errorf("killed at change %d, again: %v", n, err)
				}
			}
			m.uninstall()
			if t.Failed() {
				t.Fatalf("killed at change %d, and run again: %v", n, again)
			}
		}
	}
}

// TestUndoKilledAnywhere has an undo die so, and another go on.
func TestUndoKilledAnywhere(t *testing.T) {
	inMemory(t)
	for n, died := 0, true; died; n++ {
		m := newMachine(t)
		if err := m.apply(m.steps()); err != nil {
			t.Fatal(err)
		}
		died = m.dieAt(n, m.undo().Steps)
		m.uninstall()
		if t.Failed() {
			t.Fatalf("killed at change %d", n)
		}
	}
}

// TestKilledWhileItWrites has a real process be killed that has written half of a file. Its other half is what
// the process would have read.
func TestKilledWhileItWrites(t *testing.T) {
	const machineDir = "NIXNFSD_TEST_MACHINE"
	if dir := os.Getenv(machineDir); dir != "" {
		m := &machine{t: t, dir: dir, receipt: filepath.Join(dir, "state", "receipt.json")}
		t.Fatal("it was to be killed: ", m.apply([]Step{{Path: filepath.Join(dir, "file"), Mode: 0o600, From: filepath.Join(dir, "pipe")}}))
	}
	for _, again := range []bool{false, true} {
		m := newMachine(t)
		in := func(name string) string { return filepath.Join(m.dir, name) }
		if err := unix.Mkfifo(in("pipe"), 0o600); err != nil {
			t.Fatal(err)
		}
		child := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), machineDir+"="+m.dir)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		m.feed(in("pipe")).Close() // it is read for its digest first
		testenv.Await(t, "the receipt tells of it", func() bool { return !absent(m.receipt) })
		half := m.feed(in("pipe"))
		testenv.Await(t, "half of it is written", func() bool {
			info, err := os.Stat(wholefile.PartName(in("file")))
			return err == nil && info.Size() > 0
		})
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // killed
		if half.Close(); !wholefile.Left(in("file")) {
			t.Error("nothing is left")
		}
		if err := os.Remove(in("pipe")); err != nil {
			t.Fatal(err)
		}
		if again {
			if err := m.apply([]Step{{Path: in("file"), Mode: 0o600, Content: []byte("whole")}}); err != nil {
				t.Error(err)
			}
		}
		m.uninstall()
	}
}

// feed writes half of something into a pipe that is read, and leaves it open.
func (m *machine) feed(pipe string) *os.File {
	m.t.Helper()
	f, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("half")
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return f
}
