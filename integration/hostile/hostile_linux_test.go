package hostile

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAttack is each attack, with the server as it is started by default.
func TestAttack(t *testing.T) {
	s := newScene(t)
	for _, name := range []string{"Forge", "Namespace", "Haste", "Malformed", "Files", "Process", "Port", "Flood"} {
		t.Run(name, func(t *testing.T) { s.attack(t, name) })
	}
	t.Run("Control", func(t *testing.T) {
		// What the modes keep out, the server hangs up on.
		chmod(t, s.state(), 0o755)
		chmod(t, filepath.Join(s.state(), "control"), 0o666)
		s.attack(t, "Control")
	})
}

// chmod changes a mode until the end of the test.
func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.Chmod(path, mode))
	t.Cleanup(func() { must(t, os.Chmod(path, info.Mode())) })
}

// TestAttackSharing: that others may read is for those who ask through the kernel.
func TestAttackSharing(t *testing.T) {
	s := newScene(t, "--share-read")
	for _, name := range []string{"Forge", "Haste"} {
		t.Run(name, func(t *testing.T) { s.attack(t, name) })
	}
}

// TestSquat has the attacker at the port before the server is: the owner is told who it
// is, and is not told to mount it.
func TestSquat(t *testing.T) {
	s := newScene(t)
	o := s.order
	o.Do, o.Addr = orderSquat, "127.0.0.1:0"
	squatter := s.bin.ordered(t.Context(), attackerUID, o)
	stdin, err := squatter.StdinPipe()
	must(t, err)
	stdout, err := squatter.StdoutPipe()
	must(t, err)
	must(t, squatter.Start())
	defer func() {
		stdin.Close()
		if err := squatter.Wait(); err != nil {
			t.Error(err)
		}
	}()
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	addr = strings.TrimSpace(addr)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{s.serveArgs(addr), 1, "is in use by a program of uid 1001"},
		{[]string{"check", "--listen", addr}, 4, "the port is held by a program of uid 1001"},
	} {
		out, err := s.command(tt.args...).CombinedOutput()
		exit, _ := errors.AsType[*exec.ExitError](err)
		if exit == nil || exit.ExitCode() != tt.code || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: got %v, %s\nwant code %d, %q", tt.args[0], err, out, tt.code, tt.want)
		}
		if strings.Contains(string(out), "sudo mount") {
			t.Errorf("%s says to mount it: %s", tt.args[0], out)
		}
	}
}
