//go:build linux

package guest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// The user whom all is set up for.
const (
	setUpUID  = 1000
	setUpHome = spec.Home + "/1000"
	serverJob = "nixnfsd.service"
	keeperJob = "nixnfsd-keep.service"
)

// systemdGuest skips the test outside the guest, whose machine it would change, and holds that
// systemd runs the guest.
func systemdGuest(t testing.TB) {
	t.Helper()
	fromEnv(t, EnvControl)
	first, err := os.ReadFile("/proc/1/comm")
	testenv.Require(t, err == nil && string(first) == "systemd\n" && os.Getuid() == 0, "systemd does not run the guest, or this is not root")
}

// thereAndBack is a machine that systemd runs, and the user who sets nixnfsd up on it.
type thereAndBack struct {
	program string
	nix     *scenario
}

// TestThereAndBack sets nixnfsd up as a user with sudo does, works in it through a kill, an upgrade, a
// restart of the machine and a stop, and takes it back: the machine is as it was, but for the
// store, and without that when it is deleted.
func TestThereAndBack(t *testing.T) {
	systemdGuest(t)
	m := &thereAndBack{program: setUpHome + "/bin/nixnfsd"}
	m.arrive(t)
	m.nix = newScenario(t, m.nixUser(t), "there", 20)
	before := readMachine(t, setUpHome)
	for _, step := range []struct {
		name string
		step func(t *testing.T)
	}{
		{"set up", m.setUp},
		{"Nix", m.work},
		{"kill", m.kill},
		{"upgrade", m.upgrade},
		{"restart of the machine", m.restart},
		{"stop", m.stop},
		{"verbs", m.verbs},
	} {
		if !t.Run(step.name, step.step) {
			t.Fatalf("what comes after %s is not tried: %s", step.name, journal(t))
		}
	}
	t.Run("uninstall", func(t *testing.T) { m.uninstall(t, before) })
	t.Run("again, and all goes", func(t *testing.T) { m.again(t, before) })
}

// arrive has a journal that users may read, as machines have, and the user log in and put the program where it is to stay.
func (m *thereAndBack) arrive(t *testing.T) {
	t.Helper()
	systemctl(t, "is-system-running", "--wait")
	try(t, os.MkdirAll("/var/log/journal", 0o755))
	try(t, exec.CommandContext(t.Context(), "systemd-tmpfiles", "--create", "--prefix", "/var/log/journal").Run())
	try(t, exec.CommandContext(t.Context(), "journalctl", "--flush").Run())
	systemctl(t, "start", "user@1000.service")
	program, err := exec.LookPath("nixnfsd")
	try(t, err)
	m.run(t, "", "mkdir", filepath.Dir(m.program))
	m.run(t, "", "cp", program, m.program)
	try(t, os.Remove(nixRoot))
}

// nixUser is the user at work with the Nix of bootstrap. What he works on is not in his home, which
// is compared.
func (m *thereAndBack) nixUser(t *testing.T) *nixUser {
	t.Helper()
	u := newNixUser(t, setUpUID)
	u.env = append(u.env, "HOME="+setUpHome, "USER=user1000", "NIX_CONFIG=substituters =\n", "PATH="+setUpHome+"/.nix-profile/bin:/usr/bin:/bin")
	return u
}

// userEnv is the user's environment. His session has a manager, and nothing of the test's environment.
var userEnv = []string{"HOME=" + setUpHome, "USER=user1000", "PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=/run/user/1000", "LANG=C.UTF-8"}

// command makes one of the user's.
func (m *thereAndBack) command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = setUpHome
	cmd.Env = userEnv
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: setUpUID, Gid: setUpUID}}
	return cmd
}

// run runs a command of the user's, which reads what he types.
func (m *thereAndBack) run(t *testing.T, typed string, args ...string) string {
	t.Helper()
	cmd := m.command(t, args...)
	cmd.Stdin = strings.NewReader(typed)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// nixnfsd runs a verb.
func (m *thereAndBack) nixnfsd(t *testing.T, typed string, args ...string) string {
	t.Helper()
	return m.run(t, typed, append([]string{m.program}, args...)...)
}

func systemctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "systemctl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("systemctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// journal is what server and keeper have said.
func journal(t *testing.T) string {
	out, _ := exec.CommandContext(t.Context(), "journalctl", "--no-pager", "-o", "cat", "-n", "60", "-u", keeperJob, "--user-unit", serverJob).CombinedOutput()
	return string(out)
}

func (m *thereAndBack) setUp(t *testing.T) {
	m.nixnfsd(t, "y\n", "setup")
	m.nixnfsd(t, "", "wait", "--timeout", "5m")
	if got := m.nixnfsd(t, "", "setup"); got != "There is nothing to do.\n" {
		t.Errorf("a second set-up: %s", got)
	}
}

// bootstrap gets Nix from the tarball that package integration has made.
func (m *thereAndBack) bootstrap(t *testing.T) {
	tarballs, err := filepath.Glob(filepath.Join(fromEnv(t, spec.EnvOut), "nix-*.tar.xz"))
	try(t, err)
	if len(tarballs) != 1 {
		t.Fatalf("there is not one tarball but %q", tarballs)
	}
	m.nixnfsd(t, "", "bootstrap", "--tarball", tarballs[0], "--shell-hook", "--timeout", "5m")
	if got := m.run(t, "", "sh", "-lc", "nix-env -q && command -v nix-build"); !strings.HasPrefix(got, "nix-2.") || !strings.Contains(got, "/.nix-profile/bin/nix-build") {
		t.Errorf("nix-env -q and nix-build of a login shell: %q", got)
	}
}

func (m *thereAndBack) work(t *testing.T) {
	m.bootstrap(t)
	m.nix.build(t)
	m.nix.install(t)
	m.nix.runResult(t)
}

// serverPID is of the server that systemd runs.
func (m *thereAndBack) serverPID(t *testing.T) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(m.run(t, "", "systemctl", "--user", "show", "--value", "--property=MainPID", serverJob)))
	try(t, err)
	return pid
}

// kill has the server die in the middle of a build, which notices nothing.
func (m *thereAndBack) kill(t *testing.T) {
	mounted, pid := mountID(t), m.serverPID(t)
	built := make(chan error, 1)
	go func() {
		_, err := m.nix.nixBuild(t.Context(), "killed", "result-killed")
		built <- err
	}()
	testenv.Await(t, "the build writes", func() bool {
		found, _ := filepath.Glob(setUpHome + "/.local/share/nixnfsd/upper/store/*shell-killed*")
		return len(found) > 0
	})
	try(t, syscall.Kill(pid, syscall.SIGKILL))
	try(t, <-built)
	m.nix.greets(t, filepath.Join(m.nix.home, "result-killed/bin/hello"), "killed")
	if now := m.serverPID(t); now == pid || now == 0 {
		t.Errorf("the server was process %d and is %d", pid, now)
	}
	if now := mountID(t); now != mounted {
		t.Errorf("the mount was %q and is %q", mounted, now)
	}
}

// upgrade puts another program in the place of the one that runs, and has both take it.
func (m *thereAndBack) upgrade(t *testing.T) {
	mounted := mountID(t)
	m.run(t, "", "sh", "-c", fmt.Sprintf("cp %[1]s %[1]s.new && echo >>%[1]s.new && mv %[1]s.new %[1]s", m.program))
	said := m.nixnfsd(t, "y\n", "setup")
	if !strings.Contains(said, `"nixnfsd restart"`) {
		t.Errorf("a set-up after an upgrade: %s", said)
	}
	m.nixnfsd(t, "", "restart")
	m.nixnfsd(t, "", "wait", "--timeout", "5m")
	m.nix.runResult(t)
	if now := mountID(t); now != mounted {
		t.Errorf("the mount was %q and is %q", mounted, now)
	}
	if got := m.nixnfsd(t, "", "setup"); got != "There is nothing to do.\n" {
		t.Errorf("a second set-up: %s", got)
	}
}

// restart does what a restart of the machine does to it: all ends, nothing is mounted, and what was
// enabled starts again.
func (m *thereAndBack) restart(t *testing.T) {
	const target = "halted.target" // halt.target would end the guest
	text := "[Unit]\nAllowIsolate=yes\nRequires=basic.target dbus.socket systemd-logind.service\n"
	try(t, os.WriteFile(filepath.Join("/run/systemd/system", target), []byte(text), 0o644))
	systemctl(t, "daemon-reload")
	systemctl(t, "isolate", target)
	systemctl(t, "stop", "user@1000.service")
	try(t, syscall.Unmount(nixRoot, syscall.MNT_DETACH))
	systemctl(t, "isolate", "multi-user.target")
	systemctl(t, "start", "user@1000.service")
	m.nixnfsd(t, "", "wait", "--timeout", "5m")
	m.nix.runResult(t)
}

// stop has the owner stop the server with a process in the mount: within the grace time the
// keeper unmounts, and nobody hangs. Then he starts it again.
func (m *thereAndBack) stop(t *testing.T) {
	sitIn(t)
	m.run(t, "", "systemctl", "--user", "stop", serverJob)
	start := time.Now()
	waiting := exec.CommandContext(t.Context(), "stat", "-f", nixRoot)
	try(t, waiting.Start())
	awaitMount(t, false)
	t.Logf("unmounted after %v, with a grace time of a minute", time.Since(start))
	if err := waiting.Wait(); err == nil {
		t.Error("statfs of a mount without a server worked")
	}
	m.nixnfsd(t, "", "start")
	m.nixnfsd(t, "", "wait", "--timeout", "5m")
	m.nix.runResult(t)
}

// busy has an uninstall touch nothing, for a process works in the mount: the keeper goes on.
func (m *thereAndBack) busy(t *testing.T) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	sits := exec.CommandContext(ctx, "sleep", "1h")
	sits.Dir = nixRoot
	try(t, sits.Start())
	cmd := m.command(t, m.program, "uninstall", "--keep-store")
	cmd.Stdin = strings.NewReader("y\n")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "sleep (process ") {
		t.Errorf("uninstall in use: %v\n%s", err, out)
	}
	systemctl(t, "is-active", keeperJob)
	if got := m.nixnfsd(t, "", "setup"); got != "There is nothing to do.\n" {
		t.Errorf("it was taken back in part: %s", got)
	}
	m.nix.runResult(t)
	leave()
	_ = sits.Wait() // killed
}

// uninstall keeps the store, and leaves nothing else.
func (m *thereAndBack) uninstall(t *testing.T, before machine) {
	m.busy(t)
	m.nixnfsd(t, "y\n", "uninstall", "--keep-store")
	local := setUpHome + "/.local"
	above := []string{local, local + "/share", local + "/state", m.program} // that he has upgraded himself
	kept := []string{local + "/share/nixnfsd", local + "/state/nixnfsd"}
	for _, line := range readMachine(t, setUpHome).since(before) {
		path, _, _ := strings.Cut(line, ": ")
		within := func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }
		if !slices.Contains(above, path) && !slices.ContainsFunc(kept, within) {
			t.Error(line)
		}
	}
	for _, dir := range []string{".local/share/nixnfsd", ".local/state/nixnfsd"} {
		if _, err := os.Stat(filepath.Join(setUpHome, dir)); err != nil {
			t.Error(err)
		}
	}
}

// again sets up over the store that was kept, and deletes it with all the rest.
func (m *thereAndBack) again(t *testing.T, before machine) {
	m.nixnfsd(t, "y\n", "setup")
	m.nixnfsd(t, "", "wait", "--timeout", "5m")
	m.bootstrap(t)
	m.nix.verify(t)
	m.nix.runResult(t)
	m.nixnfsd(t, "y\n", "uninstall", "--delete-store")
	for _, line := range readMachine(t, setUpHome).since(before) {
		if !strings.HasPrefix(line, m.program+": ") {
			t.Error(line)
		}
	}
}
