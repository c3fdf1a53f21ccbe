//go:build linux

package guest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExec runs commands by `nixnfsd exec`, and has `nixnfsd env` print for a shell while the
// mount hangs, with a profile that leads into it.
func TestExec(t *testing.T) {
	dir := Mount(t)
	home := Plain(t)
	t.Setenv("HOME", home)
	t.Setenv("XDG_STATE_HOME", "")
	profile := filepath.Join(home, ".local/state/nix/profile")
	if err := os.MkdirAll(filepath.Dir(profile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "var/nix/profiles/x"), profile); err != nil {
		t.Fatal(err)
	}
	want := "/nix/var/nix/profiles/default " + profile
	out, code := nixnfsd(t, "exec", "sh", "-c", `cd "$1" && echo "$NIX_PROFILES" && exit 7`, "sh", dir)
	if code != 7 || out != want+"\n" {
		t.Errorf("exec: got %d, %q; want 7, %q", code, out, want)
	}
	Control(t, "kill")
	if out, code := nixnfsd(t, "env", "--shell", "bash"); code != 0 || !strings.Contains(out, "export NIX_PROFILES='"+want+"'\n") {
		t.Errorf("env on a dead mount: got %d, %s", code, out)
	}
	if out, code := nixnfsd(t, "exec", "--timeout", "500ms", "--", "true"); code != 1 {
		t.Errorf("exec on a dead mount: got %d, want 1: %s", code, out)
	}
	ended := make(chan int, 1)
	go func() {
		_, code := nixnfsd(t, "exec", "ls", dir)
		ended <- code
	}()
	Control(t, "start")
	if code := <-ended; code != 0 {
		t.Errorf("exec while the server comes back: got %d, want 0", code)
	}
}
