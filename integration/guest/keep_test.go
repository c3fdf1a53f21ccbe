//go:build linux

package guest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// keepGrace is the keeper's grace time here.
const keepGrace = 30 * time.Second

// command makes a nixnfsd of a user's.
func command(t *testing.T, uid uint32, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "nixnfsd", args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd
}

// served is where the server listens. It skips the test outside the guest.
func served(t *testing.T) string {
	t.Helper()
	return "127.0.0.1:" + fromEnv(t, spec.EnvPort)
}

// startKeeper keeps the server mounted at /nix, as root, and gives what ends it.
func startKeeper(t *testing.T) (end func()) {
	t.Helper()
	cmd := command(t, 0, "keep", "--owner", "1000", "--listen", served(t), "--grace", keepGrace.String())
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	try(t, cmd.Start())
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by the test's end
		if err := cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the keeper: %v", err)
		}
		t.Logf("the keeper's log:\n%s", log.String())
	}
	t.Cleanup(end)
	return end
}

// mountID tells one mount of /nix from the next, empty: there is none.
func mountID(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	try(t, err)
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == nixRoot {
			return f[0] + " " + f[2]
		}
	}
	return ""
}

func awaitMount(t *testing.T, there bool) {
	t.Helper()
	testenv.Await(t, "the keeper mounts, or unmounts", func() bool { return (mountID(t) != "") == there })
}

// ask gives the keeper an order, and gives what is said of it.
func ask(t *testing.T, uid uint32, args ...string) (said string, ok bool) {
	t.Helper()
	out, err := command(t, uid, append(args, "--owner", "1000")...).CombinedOutput()
	return string(out), err == nil
}

// refused has an order not be carried out.
func refused(t *testing.T, uid uint32, want string, args ...string) {
	t.Helper()
	if said, ok := ask(t, uid, args...); ok || !strings.Contains(said, want) {
		t.Errorf("%v by uid %d: done: %v, %s", args, uid, ok, said)
	}
}

// done has an order be carried out. On a machine with much to do its parts may take too long.
func done(t *testing.T, uid uint32, want string, args ...string) {
	t.Helper()
	testenv.Await(t, "it is "+want, func() bool {
		said, ok := ask(t, uid, args...)
		return ok && strings.HasPrefix(said, want)
	})
}

// sitIn has a process work in the mount until the test ends.
func sitIn(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "1h")
	cmd.Dir = nixRoot
	try(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // killed
}

// TestKeep has root's loop mount the server of user 1000, see it come and go, and take its
// owner's orders.
func TestKeep(t *testing.T) {
	endKeeper := startKeeper(t)
	strangersPort(t)
	Control(t, "start")
	awaitMount(t, true)
	first := mountID(t)
	restartWithin(t, first)
	orders(t)
	goneFor(t)
	Control(t, "start")
	awaitMount(t, true)
	endKeeper()
	if mountID(t) == "" {
		t.Error("the keeper's end took the mount along")
	}
}

// strangersPort: another user has the port, with a server that is all right.
func strangersPort(t *testing.T) {
	t.Helper()
	dir := filepath.Join(spec.Scratch, "stranger")
	try(t, os.Mkdir(dir, 0o700))
	try(t, os.Chown(dir, otherUID, otherUID))
	cmd := command(t, otherUID, "serve", "--listen", served(t), "--upper", dir+"/upper", "--state", dir+"/state")
	try(t, cmd.Start())
	testenv.Await(t, "the keeper sees the stranger", func() bool {
		said, _ := ask(t, ownerUID, "mount")
		return strings.Contains(said, "uid 1001 has taken the address")
	})
	if line := mountID(t); line != "" {
		t.Error("another user's server is mounted: ", line)
	}
	try(t, cmd.Process.Signal(syscall.SIGTERM))
	try(t, cmd.Wait())
}

// restartWithin: a server that is killed and comes back is not noticed.
func restartWithin(t *testing.T, mount string) {
	t.Helper()
	file := nixRoot + "/kept"
	try(t, os.WriteFile(file, []byte("before"), 0o644))
	f, err := os.Open(file)
	try(t, err)
	defer f.Close()
	Control(t, "restart")
	b := make([]byte, 6)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "before" {
		t.Errorf("an open file: %q, %v", b, err)
	}
	try(t, os.Remove(file))
	if now := mountID(t); now != mount {
		t.Errorf("the mount was %q and is %q", mount, now)
	}
}

// orders: the owner has it unmounted, where nobody uses it, and mounted again. Others do not.
func orders(t *testing.T) {
	t.Helper()
	refused(t, otherUID, "takes orders of the mount's owner and root alone", "umount")
	done(t, ownerUID, "unmounted: /nix\n", "umount")
	done(t, ownerUID, "unmounted: /nix\n", "umount")
	if mountID(t) != "" {
		t.Error("it is still mounted")
	}
	refused(t, otherUID, "takes orders of the mount's owner and root alone", "mount")
	done(t, ownerUID, "mounted: /nix from ", "mount")
	if mountID(t) == "" {
		t.Error("it is not mounted")
	}
	sitIn(t)
	refused(t, ownerUID, "/nix stays mounted: ", "umount")
	done(t, ownerUID, "unmounted: /nix\n", "umount", "--force")
	done(t, 0, "mounted: /nix from ", "mount")
}

// goneFor: the server ends while a process sits in the mount and another waits for it. At the end
// of the grace time nothing is mounted, and nobody waits.
func goneFor(t *testing.T) {
	t.Helper()
	sitIn(t)
	Control(t, "kill")
	start := time.Now()
	waiting := exec.CommandContext(t.Context(), "stat", "-f", nixRoot)
	try(t, waiting.Start())
	awaitMount(t, false)
	took := time.Since(start)
	t.Logf("unmounted after %v", took) // on a machine with nothing else to do in less than the grace time
	if took < keepGrace/3 {
		t.Errorf("unmounted after %v, with a grace time of %v", took, keepGrace)
	}
	if err := waiting.Wait(); err == nil {
		t.Error("statfs of a mount without a server worked")
	}
}
