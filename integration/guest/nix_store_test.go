//go:build linux

package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	nixRoot   = "/nix" // where Nix's store has to be
	nixStores = nixRoot + "/store"
	nixLinks  = nixStores + "/.links"
)

// commandLimit ends a command that hangs, which on a hard NFS mount is what
// an unanswered request looks like.
const commandLimit = 5 * time.Minute

// nixConfig is the whole configuration: no sandbox (it needs root), no
// network, and file:// caches that need no signature.
const nixConfig = `sandbox = false
build-users-group =
substituters =
require-sigs = false
experimental-features = nix-command
`

// A nixUser runs commands, Nix's above all, as one user with a home of its
// own outside of the mount.
type nixUser struct {
	home string
	env  []string
	cred *syscall.Credential // nil: the user that runs the test
}

// newNixUser makes a home. A test that runs as root gives the uid that its
// commands run as; any other passes -1.
func newNixUser(t *testing.T, uid int) *nixUser {
	t.Helper()
	home, err := os.MkdirTemp("", "nixhome")
	try(t, err)
	t.Cleanup(func() { removeTree(t, home) })
	u := &nixUser{home: home, env: []string{
		"HOME=" + home, "USER=nixuser", "TMPDIR=" + home, "TERM=dumb", "LC_ALL=C",
		"PATH=/usr/local/bin:/usr/bin:/bin", "NIX_CONFIG=" + nixConfig, "NIX_PATH=", "GIT_CONFIG_NOSYSTEM=1",
	}}
	if uid >= 0 {
		u.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
		try(t, os.Chown(home, uid, uid))
	}
	return u
}

// command prepares a command; its processes form a group of their own.
func (u *nixUser) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = u.home, u.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: u.cred}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// try runs a command and returns its standard output, and an error that holds
// the command line and all of its output. Words about a stale file handle are
// an error whatever the exit status.
func (u *nixUser) try(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := u.command(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := errors.Join(cmd.Run(), stale(stdout.String()+stderr.String()))
	if err != nil {
		err = fmt.Errorf("%s %s: %w\nstdout: %s\nstderr: %s", name, strings.Join(args, " "), err,
			tail(stdout.String()), tail(stderr.String()))
	}
	return strings.TrimRight(stdout.String(), "\n"), err
}

// run fails the test, with the state of the store, when the command fails.
func (u *nixUser) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := u.try(t.Context(), name, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, storeState())
	}
	return out
}

// rejects fails the test when the command does not fail with the words.
func (u *nixUser) rejects(t *testing.T, words, name string, args ...string) {
	t.Helper()
	out, err := u.try(t.Context(), name, args...)
	if err == nil {
		t.Fatalf("%s %s: exit 0, want an error with %q; output:\n%s\n%s", name, strings.Join(args, " "), words, tail(out), storeState())
	}
	if !strings.Contains(err.Error(), words) {
		t.Fatalf("got no %q in: %v\n%s", words, err, storeState())
	}
}

// write puts a file into the home.
func (u *nixUser) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(u.home, name)
	try(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// validPaths asks Nix's database for the names of all valid paths.
func (u *nixUser) validPaths(t *testing.T) []string {
	t.Helper()
	var names []string
	for line := range strings.FieldsSeq(u.run(t, "nix", "path-info", "--all")) {
		names = append(names, filepath.Base(line))
	}
	slices.Sort(names)
	return names
}

// storeNames lists the store without .links.
func storeNames(t *testing.T) []string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(nixStores)
	try(t, err)
	for _, e := range entries {
		if e.Name() != filepath.Base(nixLinks) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

// stale reports a stale file handle in a command's output.
func stale(output string) error {
	if strings.Contains(output, syscall.ESTALE.Error()) || strings.Contains(output, "Stale file handle") {
		return errors.New("the output speaks of a stale file handle")
	}
	return nil
}

// storeState describes the store for a failure's message.
func storeState() string {
	var b strings.Builder
	fmt.Fprintf(&b, "state: %s\n", mountLine(nixRoot))
	for _, dir := range []string{nixRoot, nixStores, nixRoot + "/var/nix/db", nixRoot + "/var/nix/profiles"} {
		entries, err := os.ReadDir(dir)
		fmt.Fprintf(&b, "state: %s: %d entries, error %v\n", dir, len(entries), err)
		for i, e := range entries {
			if i == 12 {
				break
			}
			fmt.Fprintf(&b, "\t%v %s\n", e.Type(), e.Name())
		}
	}
	fmt.Fprintf(&b, "state: leftovers of open files: %v", nfsLeftovers(nixRoot))
	return b.String()
}

// nfsLeftovers lists the names that an NFS client gives to files which are
// unlinked while they are open.
func nfsLeftovers(root string) []string {
	var found []string
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".nfs") {
			found = append(found, path)
		}
		return nil // what cannot be read is reported by others
	})
	return found
}

// mountLine returns the mount table's line of a mount point.
func mountLine(dir string) string {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == dir {
			return strings.TrimSpace(line)
		}
	}
	return dir + " is not a mount point"
}

// tail keeps the end of a long output, where the error is.
func tail(s string) string {
	const limit = 4000
	if len(s) > limit {
		return "…" + s[len(s)-limit:]
	}
	return s
}

// removeTree removes a tree that holds read-only directories, as stores do.
func removeTree(t *testing.T, root string) {
	t.Helper()
	for _, name := range append(readOnlyDirs(root), root) {
		if err := os.Chmod(name, 0o755); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("make %s writable: %v", name, err)
		}
	}
	if err := os.RemoveAll(root); err != nil {
		t.Errorf("remove %s: %v", root, err)
	}
}

// emptyDir removes everything in a directory but not the directory.
func emptyDir(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	try(t, err)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			removeTree(t, path)
		} else {
			try(t, os.Remove(path))
		}
	}
}

func readOnlyDirs(root string) []string {
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // os.RemoveAll reports it
		}
		if fi, err := d.Info(); err == nil && fi.Mode()&0o200 == 0 {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}
