package uml

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// checkHost says what the machine lacks to run a guest.
func checkHost() error {
	if runtime.GOARCH != "amd64" {
		return errors.New("no x86-64 processor, which User Mode Linux needs")
	}
	needs := []struct{ program, pkg string }{
		{"apt-get", "apt: the guest is made of Debian packages"},
		{"dpkg-deb", "dpkg"},
		{"bash", "bash"},
		{"tar", "tar"},
		{"xz", "xz-utils"},
		{"taskset", "util-linux"},
		{"gcc", "gcc and libc6-dev"},
		{"/sbin/mke2fs", "e2fsprogs"},
		{"go", "golang-go"},
	}
	for _, need := range needs {
		if _, err := exec.LookPath(need.program); err != nil {
			return fmt.Errorf("no %s here (package %s)", need.program, need.pkg)
		}
	}
	return tryPtrace()
}

// tryPtrace starts a traced process: some containers forbid it.
func tryPtrace() error {
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	traced, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return fmt.Errorf("ptrace is not allowed here: %w", err)
	}
	_ = traced.Kill() // it may have ended
	_, err = traced.Wait()
	return err
}

// lock waits for an exclusive lock on the file, made where missing.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return func() { f.Close() }, nil
}

// guard runs a command as the leader of a session and ends the whole of that when
// the command ends, or by SIGTERM: User Mode Linux leaves helpers behind, and leaves
// its process group where it is not the leader already.
const guard = `
	end() { kill -KILL -- -$! $! 2>/dev/null; }
	trap end TERM
	setsid "$@" &
	wait $!
	end`

// guarded makes a command that leaves nothing running, however it or we end. Its
// exit status says nothing.
func guarded(ctx context.Context, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", append([]string{"-c", guard, "guard"}, argv...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second // to end all that hold our pipe
	return cmd
}

// processor names one processor to pin a guest to, by turns. A guest hands control
// between its processes at every system call: to wake another processor each
// time makes it three to ten times slower.
func processor(turn int) string {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return "0"
	}
	nth := (os.Getpid() + turn) % allowed.Count() // two test packages start with different ones
	for cpu := 0; ; cpu++ {
		if allowed.IsSet(cpu) {
			if nth == 0 {
				return strconv.Itoa(cpu)
			}
			nth--
		}
	}
}

// memoryDir finds a place for the file that is the guest's memory: in memory
// where there is room, and never where mapping it executable is forbidden.
func memoryDir(megabytes int) (string, error) {
	for _, dir := range []string{"/dev/shm", os.TempDir(), "/var/tmp"} {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			continue
		}
		room := fs.Bavail * uint64(fs.Bsize) >> 20
		if fs.Flags&unix.ST_NOEXEC == 0 && room > uint64(megabytes) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no directory has room for %d MiB of guest memory and allows execution", megabytes)
}
