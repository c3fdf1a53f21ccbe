package uml_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// setup returns the kit, or skips the test with what the machine lacks.
func setup(t *testing.T) *uml.Kit {
	t.Helper()
	kit, err := uml.Setup(t.Context(), t.Output())
	testenv.Require(t, err == nil, "no guest: "+errorText(err))
	return kit
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestRun(t *testing.T) {
	kit := setup(t)
	tests := []struct {
		name       string
		cfg        uml.Config
		wantStatus int
		wantOut    string
	}{
		{"success", uml.Config{Test: []string{"true"}}, 0, ""},
		{"failure", uml.Config{Test: []string{"sh", "-c", "echo out; echo err >&2; exit 7"}}, 7, "out\nerr\n"},
		{"signal", uml.Config{Test: []string{"sh", "-c", "kill -9 $$"}}, 137, ""},
		{"user", uml.Config{Test: []string{"sh", "-c", "id -u; id -g; stat -c %u $HOME"}, TestUID: 1000}, 0, "1000\n1000\n1000\n"},
		{"scratch", uml.Config{Test: []string{"stat", "-f", "-c", "%T", "/scratch/plain"}}, 0, "ext2/ext3\n"},
		{"environment", uml.Config{Test: []string{"sh", "-c", "echo $WORD $NIXNFSD_DIR"}, Env: []string{"WORD=word"}}, 0, "word /nix\n"},
		{"NFS client", uml.Config{Test: []string{"grep", "-cw", "nfs", "/proc/filesystems"}}, 0, "1\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			result, err := kit.Run(t.Context(), tt.cfg, &out)
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != tt.wantStatus || out.String() != tt.wantOut {
				t.Errorf("status %d with %q, want %d with %q", result.Status, out.String(), tt.wantStatus, tt.wantOut)
			}
		})
	}
}

// TestRunSystemd has systemd run the guest, and a manager of its own for a user, who is let to
// become root.
func TestRunSystemd(t *testing.T) {
	kit := setup(t)
	const script = `
		set -e
		cat /proc/1/comm
		systemctl is-system-running --wait
		systemctl start user@1000.service
		setpriv --reuid 1000 --clear-groups env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user is-system-running --wait
		setpriv --reuid 1000 --clear-groups sudo id -u`
	var out bytes.Buffer
	result, err := kit.Run(t.Context(), uml.Config{Systemd: true, Test: []string{"sh", "-c", script}, ServerUID: 1000}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if want := "systemd\nrunning\nrunning\n0\n"; result.Status != 0 || out.String() != want {
		t.Errorf("status %d with %q, want 0 with %q", result.Status, out.String(), want)
	}
}

// TestRunServer has a test in the guest start, kill and stop a server.
func TestRunServer(t *testing.T) {
	kit := setup(t)
	const script = `
		set -e
		$NIXNFSD_CONTROL start
		$NIXNFSD_CONTROL start && exit 1
		$NIXNFSD_CONTROL kill
		$NIXNFSD_CONTROL kill && exit 2
		$NIXNFSD_CONTROL start
		$NIXNFSD_CONTROL restart
		exit 0`
	cfg := uml.Config{
		Server: []string{"busybox", "nc", "-l", "-p", "%P"}, ServerUID: 1000,
		Test: []string{"sh", "-c", script}, TestUID: 1000,
	}
	var out bytes.Buffer
	result, err := kit.Run(t.Context(), cfg, &out)
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != 0 || result.ServerStatus != 128+15 {
		t.Errorf("status %d, server's %d, want 0 and 143: %s", result.Status, result.ServerStatus, out.String())
	}
}

// TestRunTrouble looks at the ends that are not the test's.
func TestRunTrouble(t *testing.T) {
	kit := setup(t)
	listen := []string{"busybox", "nc", "-l", "-p", "%P"}
	tests := []struct {
		name string
		cfg  uml.Config
		want error  // nil: any other
		text string // part of the error
	}{
		{"time limit", uml.Config{Test: []string{"sleep", "1000"}, Timeout: 4 * time.Second}, uml.ErrTimeLimit, "4s"},
		{"server dies", uml.Config{Server: listen, Test: []string{"sh", "-c", "$NIXNFSD_CONTROL start; busybox nc 127.0.0.1 $NIXNFSD_PORT </dev/null; sleep 1000"}}, uml.ErrServerDied, "exit status"},
		{"server does not listen", uml.Config{Server: []string{"sh", "-c", "echo no reason"}, Mount: true, Test: []string{"true"}}, nil, "no reason"},
		{"no such test", uml.Config{Test: []string{"no-such-program"}}, nil, "no-such-program"},
		{"kernel does not boot", uml.Config{Test: []string{"true"}, MemoryMB: 8}, nil, "without a report"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := kit.Run(t.Context(), tt.cfg, t.Output())
			if err == nil {
				t.Fatal("no error")
			}
			if tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

// TestRunCancelled ends the guest with its context, to the last process.
func TestRunCancelled(t *testing.T) {
	kit := setup(t)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp) // is then on the command line of each process
	ctx, cancel := context.WithCancel(t.Context())
	// The first output of the test cancels it.
	_, err := kit.Run(ctx, uml.Config{Test: []string{"sh", "-c", "echo up; sleep 1000"}}, writerFunc(cancel))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if left := processesWith(t, tmp); len(left) > 0 {
		t.Errorf("these still run: %q", left)
	}
}

// processesWith returns the command lines that hold a text.
func processesWith(t *testing.T, text string) (lines []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte(text)) {
			lines = append(lines, string(line))
		}
	}
	return lines
}

// writerFunc is called at each write.
type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// TestRunOut finds what a test wrote as an ordinary user, and nothing else of it.
func TestRunOut(t *testing.T) {
	kit := setup(t)
	out := t.TempDir()
	gone := filepath.Join(t.TempDir(), "gone")
	cfg := uml.Config{Test: []string{"sh", "-c", "echo kept >$OUT/file; echo >" + gone + "; cat " + gone}, Out: out}
	result, err := kit.Run(t.Context(), cfg, t.Output())
	if err != nil || result.Status != 0 {
		t.Fatalf("status %d, %v", result.Status, err)
	}
	if got, err := os.ReadFile(filepath.Join(out, "file")); string(got) != "kept\n" {
		t.Errorf("read %q, %v", got, err)
	}
	if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat of a file made in the guest only: %v", err)
	}
}
