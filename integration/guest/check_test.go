//go:build linux

package guest

import (
	"bufio"
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCheck brings the server and its mount into each state that `nixnfsd
// check` knows, and looks at the line and the exit code. The last step leaves
// both as they were.
func TestCheck(t *testing.T) {
	Mount(t)
	other := startOther(t)
	steps := []struct {
		name     string
		controls []string
		args     []string
		code     int
		line     string // the first
	}{
		{"mounted", nil, nil, 0, "mounted: /nix is mounted from 127.0.0.1:12049 and works"},
		{
			"from another server",
			nil,
			[]string{"--listen", other.String()},
			3,
			"mounted-elsewhere: /nix is mounted from another server than " + other.String() + ": 127.0.0.1:/nix (nfs, 127.0.0.1:12049)",
		},
		{
			"dead mount",
			[]string{"kill"},
			nil, 4,
			"dead-mount: /nix is mounted, but its server at 127.0.0.1:12049 is gone: whoever touches the mount hangs",
		},
		{
			"dead mount of another server",
			nil,
			[]string{"--listen", other.String()},
			3,
			"dead-mount: /nix is mounted, but its server at 127.0.0.1:12049 is gone: whoever touches the mount hangs",
		},
		{"mounted again", []string{"start"}, nil, 0, "mounted: /nix is mounted from 127.0.0.1:12049 and works"},
		{
			"running and not mounted",
			[]string{"umount"},
			nil, 3,
			"not-mounted: the server at 127.0.0.1:12049 answers, but /nix is not mounted",
		},
		{
			"not running",
			[]string{"stop"},
			nil, 4,
			"not-running: no server answers at 127.0.0.1:12049, and /nix is not mounted",
		},
	}
	for _, s := range steps {
		for _, verb := range s.controls {
			Control(t, verb)
		}
		out, code := nixnfsd(t, append([]string{"check"}, s.args...)...)
		if line, _, _ := strings.Cut(out, "\n"); code != s.code || line != s.line {
			t.Errorf("%s:\n got %d, %s\nwant %d, %s\nall of it:\n%s", s.name, code, line, s.code, s.line, out)
		}
		if s.args == nil {
			checkStatus(t, s.name, s.code)
		}
	}
	waitFor(t)
}

// checkStatus has `nixnfsd status` see the same as check, whatever the mount is like.
func checkStatus(t *testing.T, step string, code int) {
	t.Helper()
	want := map[string]string{
		"mounted":                 "/nix is mounted from 127.0.0.1:12049",
		"dead mount":              "/nix is mounted, but its server at 127.0.0.1:12049 is gone: whoever touches the mount hangs",
		"mounted again":           "/nix is mounted from 127.0.0.1:12049",
		"running and not mounted": "the server at 127.0.0.1:12049 runs, but /nix is not mounted",
		"not running":             "no server answers at 127.0.0.1:12049, and /nix is not mounted",
	}[step]
	out, got := nixnfsd(t, "status", "--state", serverState)
	if line, _, _ := strings.Cut(out, "\n"); got != code || line != "state     "+want {
		t.Errorf("status, %s: got %d, want %d and %s:\n%s", step, got, code, want, out)
	}
	if runs := strings.Contains(out, "\nFSINFO "); runs != strings.Contains(step, "mounted") {
		t.Errorf("status, %s: what the server does is shown: %t\n%s", step, runs, out)
	}
}

// waitFor begins with no server and no mount, and has `nixnfsd wait` see both come.
func waitFor(t *testing.T) {
	t.Helper()
	if out, code := nixnfsd(t, "wait", "--timeout", "500ms"); code != 1 {
		t.Errorf("wait without a server: got %d, want 1: %s", code, out)
	}
	ended := make(chan int, 1)
	go func() {
		_, code := nixnfsd(t, "wait", "--timeout", "1m")
		ended <- code
	}()
	Control(t, "start")
	if out, code := nixnfsd(t, "wait", "--timeout", "500ms"); code != 1 {
		t.Errorf("wait without a mount: got %d, want 1: %s", code, out)
	}
	select {
	case code := <-ended:
		t.Errorf("wait ended with %d before there was a mount", code)
	default:
		Control(t, "mount")
		if code := <-ended; code != 0 {
			t.Errorf("wait with server and mount: got %d, want 0", code)
		}
	}
}

// nixnfsd runs the server's program, which must end within seconds whatever has
// become of the mount, and gives what it printed and its exit code.
func nixnfsd(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	const patience = 90 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nixnfsd", args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return string(out), 0
	case errors.As(err, &exit):
		return string(out), exit.ExitCode()
	}
	t.Errorf("nixnfsd %v: %v", args, err)
	return string(out), -1
}

// startOther starts a server of its own beside the one that the guest mounts.
func startOther(t *testing.T) netip.AddrPort {
	t.Helper()
	dir := Plain(t)
	cmd := exec.CommandContext(t.Context(), "nixnfsd", "serve", "--listen", "127.0.0.1:0", "--upper", dir+"/upper", "--state", dir+"/state")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the other server: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	m := regexp.MustCompile(`^ready: .* on (\S+) as /nix`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("the other server said %q: %v", line, err)
	}
	return netip.MustParseAddrPort(m[1])
}
