//go:build linux

package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/mount"
)

// What setup leaves on a machine, where user 1000 has run it.
const (
	wardHome    = spec.Home + "/1000"
	wardProgram = wardHome + "/bin/nixnfsd"
	wardData    = wardHome + "/.local/share/nixnfsd"
	wardUpper   = wardData + "/upper"
	wardState   = wardHome + "/.local/state/nixnfsd"
	wardUnit    = wardHome + "/.config/systemd/user/nixnfsd.service"
	keeperUnit  = "/etc/systemd/system/nixnfsd-keep.service"
	rootReceipt = "/var/lib/nixnfsd/receipt.json"
	mountHelper = "/sbin/mount.nfs"
)

// findings is what check says.
type findings struct {
	State    string `json:"state"`
	Problems []struct {
		Name string `json:"name"`
		What string `json:"what"`
	} `json:"problems"`
	Mended []string `json:"mended"`
	Left   []string `json:"left"`
}

func (f *findings) names() []string {
	var names []string
	for _, p := range f.Problems {
		names = append(names, p.Name)
	}
	return names
}

// asOwner runs a command of user 1000's, whose session has a manager.
func asOwner(t *testing.T, typed string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(typed), &out, &errs
	cmd.Dir = wardHome
	cmd.Env = []string{"HOME=" + wardHome, "PATH=/usr/bin:/bin", "XDG_RUNTIME_DIR=/run/user/1000"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerUID, Gid: ownerUID}}
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// ownerDoes has a command of his go well.
func ownerDoes(t *testing.T, args ...string) {
	t.Helper()
	if out, errs, code := asOwner(t, "y\n", args...); code != 0 {
		t.Fatalf("%v: exit code %d: %s%s", args, code, out, errs)
	}
}

// rootDoes has one of root's go well.
func rootDoes(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// checkUp has the owner check, with more flags.
func checkUp(t *testing.T, flags ...string) (f findings, code int) {
	t.Helper()
	out, errs, code := asOwner(t, "", append([]string{wardProgram, "check", "--json"}, flags...)...)
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		t.Fatalf("check: exit code %d, %v: %s%s", code, err, out, errs)
	}
	if len(flags) > 0 {
		t.Logf("%v: mended %v, left %v, with %s", flags, f.Mended, f.Left, errs)
	}
	return f, code
}

// awaitWell waits until nothing is wrong.
func awaitWell(t *testing.T) {
	t.Helper()
	var f findings
	defer func() {
		if t.Failed() {
			t.Logf("not well: %+v", f)
		}
	}()
	testenv.Await(t, "all is well", func() bool {
		var code int
		f, code = checkUp(t)
		return code == 0 && len(f.Problems) == 0
	})
}

// illness is some faults, seeded at once.
type illness struct {
	name   string
	seed   func(t *testing.T) (restore []func()) // restore puts right what --fix does not
	mended []string                              // found, and mended by --fix
	found  []string                              // found, and left to people
}

// keepFile gives what puts a file back as it is now, times and all.
func keepFile(t *testing.T, file string) (restore func()) {
	t.Helper()
	text, err := os.ReadFile(file)
	try(t, err)
	info, err := os.Stat(file)
	try(t, err)
	return func() {
		try(t, os.WriteFile(file, text, info.Mode().Perm()))
		try(t, os.Chtimes(file, info.ModTime(), info.ModTime()))
	}
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	try(t, err)
	_, err = f.WriteString(text)
	try(t, errors.Join(err, f.Close()))
}

// link makes a symbolic link.
func link(t *testing.T, target, path string) (restore func()) {
	t.Helper()
	try(t, os.Symlink(target, path))
	return func() { try(t, os.Remove(path)) }
}

var illnesses = []illness{
	{"rights", func(t *testing.T) []func() {
		for path, mode := range map[string]os.FileMode{wardState: 0o777, wardUpper: 0o777, wardState + "/key": 0o644, "/opt/nixnfsd": 0o777} {
			try(t, os.Chmod(path, mode))
		}
		try(t, os.Chown(wardData+"/work", 0, 0)) // as after a server of root's
		fstab := keepFile(t, "/etc/fstab")
		appendTo(t, "/etc/fstab", "/dev/sdb /nix ext4 noauto 0 0\n")
		return []func(){fstab, limitServer(t, 256), link(t, "/nix/elsewhere", wardUpper+"/var"), link(t, "/elsewhere", wardUpper+"/store")}
	}, []string{"state-open", "upper-open", "key-open", "loose-directory", "work-foreign"}, []string{"fstab", "open-files-low", "var-in-mount", "store-symlink"}},

	{"units off", func(t *testing.T) []func() {
		rootDoes(t, "systemctl", "disable", filepath.Base(keeperUnit))
		ownerDoes(t, "systemctl", "--user", "disable", filepath.Base(wardUnit))
		try(t, os.Chmod(wardData+"/work", 0o770))
		key, later := keepFile(t, wardState+"/key"), time.Now().AddDate(0, 1, 0)
		try(t, os.Chtimes(wardState+"/key", later, later))
		appendTo(t, wardHome+"/.profile", "# >>> nixnfsd >>>\nif [ -x /x ]; then eval \"$(/x env)\"; fi\n# <<< nixnfsd <<<\n")
		profile := func() { try(t, os.Remove(wardHome+"/.profile")) }
		return []func(){key, profile, link(t, wardHome+"/gone", wardUpper+"/var")}
	}, []string{"keeper-off", "server-off", "work-open"}, []string{"clock-behind", "shell-hook-stale", "var-dangling"}},

	{"both stopped", func(t *testing.T) []func() {
		rootDoes(t, "systemctl", "stop", filepath.Base(keeperUnit))
		ownerDoes(t, "systemctl", "--user", "stop", filepath.Base(wardUnit))
		try(t, os.Mkdir(wardHome+"/a b", 0o755))
		return []func(){fillUp(t), link(t, wardHome+"/a b", wardUpper+"/var")}
	}, []string{"server-down", "mount-dead", "server-stopped", "keeper-stopped"}, []string{"space-low", "var-unfit"}},

	{"units edited", func(t *testing.T) []func() {
		appendTo(t, keeperUnit, "# mine\n")
		try(t, os.Remove(wardUnit))
		return nil
	}, []string{"setup-file-changed", "setup-file-missing", "keeper-stale"}, nil},

	{"another program", func(t *testing.T) []func() {
		text, err := os.ReadFile(wardProgram)
		try(t, err)
		try(t, os.WriteFile(wardProgram+".new", append(text, 0), 0o755))
		try(t, errors.Join(os.Chown(wardProgram+".new", ownerUID, ownerUID), os.Rename(wardProgram+".new", wardProgram)))
		return nil
	}, []string{"server-old", "root-program-old"}, nil},

	{"receipt lost, and a unit touched", func(t *testing.T) []func() {
		try(t, os.Remove(rootReceipt))
		now := time.Now()
		try(t, os.Chtimes(wardUnit, now, now))
		try(t, os.MkdirAll(wardUpper+"/var/nix/db", 0o755))
		try(t, os.WriteFile(wardUpper+"/var/nix/db/db.sqlite", []byte("no database at all"), 0o644))
		return []func(){func() { try(t, os.RemoveAll(wardUpper+"/var")) }}
	}, []string{"setup-half", "server-stale"}, []string{"database-broken"}},

	{"options", func(t *testing.T) []func() {
		rootDoes(t, "systemctl", "stop", filepath.Base(keeperUnit))
		rootDoes(t, "umount", nixRoot)
		args := mount.Args("linux", mount.Target{Server: netip.MustParseAddrPort(mount.DefaultListen), Export: nixRoot})
		at := slices.Index(args, "-o") + 1
		args[at] = strings.Replace(args[at], ",hard,", ",soft,noexec,", 1)
		rootDoes(t, args...)
		rootDoes(t, "systemctl", "start", filepath.Base(keeperUnit))
		testenv.Await(t, "the keeper answers", func() bool {
			f, _ := checkUp(t)
			return !slices.Contains(f.names(), "keeper-stopped")
		})
		return nil
	}, []string{"mount-soft", "mount-noexec"}, nil},

	{"no mount point", func(t *testing.T) []func() {
		keeperDoes(t, "umount")
		try(t, os.Remove(nixRoot))
		return nil
	}, []string{"no-mount-point", "not-mounted"}, nil},

	{"a link for a mount point", func(t *testing.T) []func() {
		keeperDoes(t, "umount")
		try(t, errors.Join(os.Remove(nixRoot), os.Rename(mountHelper, mountHelper+".away"), os.Symlink("/var/tmp", nixRoot)))
		return []func(){func() {
			try(t, errors.Join(os.Remove(nixRoot), os.Mkdir(nixRoot, 0o755), os.Rename(mountHelper+".away", mountHelper)))
			keeperDoes(t, "mount")
		}}
	}, nil, []string{"point-symlink", "no-mount-helper", "not-mounted"}},

	{"something else mounted", func(t *testing.T) []func() {
		keeperDoes(t, "umount")
		rootDoes(t, "mount", "-t", "tmpfs", "none", nixRoot)
		receipt := keepFile(t, wardState+"/setup.json")
		key := keepFile(t, wardState+"/key")
		try(t, errors.Join(os.Truncate(wardState+"/setup.json", 5), os.Truncate(wardState+"/key", 3)))
		try(t, os.Rename(wardUpper, wardUpper+".away"))
		return []func(){receipt, key, func() {
			try(t, os.Rename(wardUpper+".away", wardUpper))
			rootDoes(t, "umount", nixRoot)
			keeperDoes(t, "mount")
		}}
	}, nil, []string{"mounted-elsewhere", "receipt-broken", "key-broken", "upper-missing", "layer-moved"}},

	{"a stranger at the port", func(t *testing.T) []func() {
		keeperDoes(t, "umount")
		ownerDoes(t, "systemctl", "--user", "stop", filepath.Base(wardUnit))
		l, err := net.Listen("tcp", mount.DefaultListen)
		try(t, err)
		return []func(){func() {
			try(t, l.Close())
			ownerDoes(t, "systemctl", "--user", "start", filepath.Base(wardUnit))
			keeperDoes(t, "mount")
		}}
	}, nil, []string{"port-taken", "server-stopped"}},
}

// limitServer bounds how many files the server may open.
func limitServer(t *testing.T, files uint64) (restore func()) {
	t.Helper()
	out, _, _ := asOwner(t, "", "systemctl", "--user", "show", "--value", "--property=MainPID", filepath.Base(wardUnit))
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	try(t, err)
	var old unix.Rlimit
	try(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old))
	try(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: old.Max}, nil))
	return func() { try(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &old, nil)) }
}

// fillUp leaves little space on the store's file system, without writing much to it.
func fillUp(t *testing.T) (restore func()) {
	t.Helper()
	var st unix.Statfs_t
	try(t, unix.Statfs(wardUpper, &st))
	const left = 100 << 20
	const file = spec.Scratch + "/filler"
	f, err := os.Create(file)
	try(t, err)
	defer f.Close()
	try(t, unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-left))
	return func() { try(t, os.Remove(file)) }
}

// TestDoctor seeds faults on a machine that is set up, one illness after the other: check finds
// each by its name, and --fix mends what it says that it does.
func TestDoctor(t *testing.T) {
	systemdGuest(t)
	admit(t)
	awaitWell(t)
	testenv.Await(t, "root sees that all is well", func() bool {
		out, err := exec.CommandContext(t.Context(), "nixnfsd", "check").Output()
		return err == nil && !strings.Contains(string(out), "problem")
	})
	for _, ill := range illnesses {
		if !t.Run(ill.name, ill.test) {
			t.Fatalf("what comes after %s is not tried", ill.name)
		}
	}
}

// admit sets the machine up.
func admit(t *testing.T) {
	t.Helper()
	rootDoes(t, "systemctl", "is-system-running", "--wait")
	rootDoes(t, "systemctl", "start", "user@1000.service")
	program, err := exec.LookPath("nixnfsd")
	try(t, err)
	ownerDoes(t, "mkdir", filepath.Dir(wardProgram))
	ownerDoes(t, "cp", program, wardProgram)
	ownerDoes(t, wardProgram, "setup")
	ownerDoes(t, wardProgram, "wait", "--timeout", "10m")
}

// test seeds an illness and has it found and mended. On a machine with much to do a look may take too
// long, which check says: it is asked again then.
func (ill illness) test(t *testing.T) {
	restore := ill.seed(t)
	var f findings
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("check said last: %+v", f)
		}
	})
	testenv.Await(t, "all faults are found", func() bool {
		f, _ = checkUp(t)
		return len(missing(slices.Concat(ill.mended, ill.found), f.names())) == 0
	})
	var promised []string
	testenv.Await(t, "what --fix mends is mended", func() bool {
		f, _ = checkUp(t, "--fix", "--yes")
		promised = slices.Concat(promised, f.Mended, f.Left)
		return len(f.Left) == 0 && len(missing(ill.mended, f.names())) == len(ill.mended)
	})
	if by := missing(ill.mended, promised); len(by) > 0 {
		t.Errorf("not mended by --fix: %v", by)
	}
	for _, r := range restore {
		r()
	}
	awaitWell(t)
}

// missing are the names that are not among others.
func missing(names, among []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(among, n) })
}

// keeperDoes has the owner give the keeper an order, until it is carried out.
func keeperDoes(t *testing.T, verb string) {
	t.Helper()
	testenv.Await(t, "the keeper does "+verb, func() bool {
		_, _, code := asOwner(t, "", wardProgram, verb)
		return code == 0
	})
}
