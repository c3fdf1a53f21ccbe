// Package guest holds the tests that look at a file system from above, as a
// program sees it: POSIX conformance, git, SQLite, fio and Nix.
//
// package integration compiles them into one static binary and runs that
// inside a guest machine over the kernel's NFS client, with a plain ext4
// directory beside it as the oracle. Run by hand on a machine without the
// guest they take a temporary directory for both, or skip.
package guest

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
)

// The environment that the guest gives to the tests.
const (
	// EnvDir names the directory to test: the mount point.
	EnvDir = spec.EnvDir
	// EnvPlain names an empty directory on the local ext4 that also holds
	// the export: what a test sees there is what it should see on the mount.
	EnvPlain = spec.EnvPlain
	// EnvExport names the directory behind the mount, which is the upper
	// directory of the server.
	EnvExport = spec.EnvExport
	// EnvControl names the program that controls the server and its mount;
	// see Control.
	EnvControl = spec.EnvControl
	// EnvVolume tells what file system the export is on, where that is not ext4.
	EnvVolume = spec.EnvVolume
)

// onHFSPlus reports whether an HFS+ volume is behind the mount.
func onHFSPlus() bool { return os.Getenv(EnvVolume) == spec.HFSPlus }

// Dir returns a new directory on the file system to test, the mount in the
// guest and a temporary directory elsewhere. It is removed after the test.
func Dir(t testing.TB) string {
	t.Helper()
	return below(t, EnvDir)
}

// Plain returns a new directory beside the one of Dir that no NFS lies over.
func Plain(t testing.TB) string {
	t.Helper()
	return below(t, EnvPlain)
}

// Mount returns the mount point itself and skips the test outside the guest.
func Mount(t testing.TB) string {
	t.Helper()
	return fromEnv(t, EnvDir)
}

// Export returns the directory behind the mount and skips the test outside
// the guest.
func Export(t testing.TB) string {
	t.Helper()
	return fromEnv(t, EnvExport)
}

// Control has the guest do one thing with the server or its mount, and
// returns when it is done. Verbs are start (and wait until it listens), stop
// (SIGTERM), kill (SIGKILL), restart (kill and start), mount and umount. Any
// user may ask, and cleanups may. A server that ends otherwise ends the whole run
// as failed. Outside the guest the test is skipped.
func Control(t testing.TB, verb string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // which ends before the cleanups
	out, err := exec.CommandContext(ctx, fromEnv(t, EnvControl), verb).CombinedOutput()
	if err != nil {
		t.Fatalf("control %s: %v: %s", verb, err, out)
	}
}

// below makes a directory for t in the one that the variable names.
func below(t testing.TB, env string) string {
	t.Helper()
	parent := os.Getenv(env)
	if parent == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return dir
}

// fromEnv returns the value of the variable and skips the test without one.
func fromEnv(t testing.TB, env string) string {
	t.Helper()
	value := os.Getenv(env)
	if value == "" {
		t.Skipf("not in the guest: %s is not set", env)
	}
	return value
}
