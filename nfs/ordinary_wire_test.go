package nfs_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// ordinaryUID is an ordinary user's.
const ordinaryUID = 1000

// asOrdinary reports whether the test is to go on: the user is not root. Else it
// runs the test, and only that, in a process of an ordinary user.
func asOrdinary(t *testing.T) bool {
	t.Helper()
	if os.Getuid() != 0 {
		return true
	}
	dir, err := os.MkdirTemp("", "ordinary")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// The test binary lies where only root gets at it.
	binary := filepath.Join(dir, "nfs.test")
	if err := copyBinary(binary); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{dir, binary} {
		if err := os.Chown(f, ordinaryUID, ordinaryUID); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), binary, "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v")
	c.Dir, c.Env = dir, append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryUID, Gid: ordinaryUID}}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("as uid %d: %v\n%s", ordinaryUID, err, out)
	}
	return false
}

func copyBinary(to string) error {
	in, err := os.Open(os.Args[0])
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
