package setup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// loadedJobText is what launchctl prints of a job, as far as it is read.
const loadedJobText = "gui/501/io.github.nixnfsd.serve = {\n\tstate = not running\n}\n"

func TestServiceCommands(t *testing.T) {
	const mac, systemctl = "/bin/launchctl", "/usr/bin/systemctl --user"
	unit := func(state string) string { return "LoadState=loaded\nSubState=" + state + "\n" }
	tt := []struct {
		name, system, shown string
		start, stop         string
	}{
		{"a Mac's that is not loaded", "darwin", "", mac + " enable gui/501/io.github.nixnfsd.serve; " + mac + " bootstrap gui/501 /Users/you/Library/LaunchAgents/io.github.nixnfsd.serve.plist", ""},
		{"a Mac's that is loaded", "darwin", loadedJobText, "", mac + " bootout gui/501/io.github.nixnfsd.serve"},
		{"a unit that is not known yet", "linux", "LoadState=not-found\nSubState=dead\n", systemctl + " daemon-reload; " + systemctl + " start nixnfsd.service", ""},
		{"one that is dead", "linux", unit("dead"), systemctl + " start nixnfsd.service", ""},
		{"one that has failed", "linux", unit("failed"), systemctl + " start nixnfsd.service", ""},
		{"one that runs", "linux", unit("running"), "", systemctl + " stop nixnfsd.service"},
		{"one that fails again and again", "linux", unit("auto-restart"), "", systemctl + " stop nixnfsd.service"},
		{"one that ends", "linux", unit("stop-sigterm"), "", systemctl + " stop nixnfsd.service"},
	}
	for _, tc := range tt {
		c := &Config{System: tc.system, UID: 501, Home: "/Users/you", Configs: "/Users/you/.config"}
		s := c.parseShow(tc.shown)
		if got := inOneLine(c.startCommands(s)); got != tc.start {
			t.Errorf("%s: to start: got %s, want %s", tc.name, got, tc.start)
		}
		if got := inOneLine(c.stopCommands(s)); got != tc.stop {
			t.Errorf("%s: to stop: got %s, want %s", tc.name, got, tc.stop)
		}
	}
}

func inOneLine(commands [][]string) string {
	var lines []string
	for _, args := range commands {
		lines = append(lines, strings.Join(args, " "))
	}
	return strings.Join(lines, "; ")
}

func TestLogCommand(t *testing.T) {
	tt := []struct {
		system string
		follow bool
		want   string
	}{
		{"darwin", false, "/usr/bin/tail -n 50 /Users/you/Library/Logs/nixnfsd.log"},
		{"darwin", true, "/usr/bin/tail -n 50 -F /Users/you/Library/Logs/nixnfsd.log"},
		{"linux", false, "/usr/bin/journalctl --no-pager --user-unit nixnfsd.service --lines 50"},
		{"linux", true, "/usr/bin/journalctl --no-pager --user-unit nixnfsd.service --lines 50 --follow"},
	}
	for _, tc := range tt {
		c := &Config{System: tc.system, Home: "/Users/you"}
		if got := strings.Join(c.logCommand(50, tc.follow), " "); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
}

// TestService has a system that does what it is told, late.
func TestService(t *testing.T) {
	c := &Config{System: "linux", Configs: t.TempDir()}
	if _, err := c.Start(t.Context(), nil); !errors.Is(err, ErrNotSetUp) {
		t.Errorf("got %v, want ErrNotSetUp", err)
	}
	if _, err := c.Stop(t.Context(), nil); !errors.Is(err, ErrNotSetUp) {
		t.Errorf("got %v, want ErrNotSetUp", err)
	}
	if _, err := c.LogCommand(1, false); !errors.Is(err, ErrNotSetUp) {
		t.Errorf("got %v, want ErrNotSetUp", err)
	}
	file := c.places().server
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var did []string
	now := "dead"
	run := func(_ context.Context, args []string) (string, error) {
		shown := now
		switch args[2] {
		case "start":
			now = "running"
		case "stop":
			now = "stop-sigterm"
		case "show":
			if now == "stop-sigterm" {
				now = "dead"
			}
			return "LoadState=loaded\nSubState=" + shown + "\n", nil
		}
		did = append(did, args[2])
		return "", nil
	}
	for _, tc := range []struct {
		do   func(context.Context, Runner) (bool, error)
		want bool
	}{{c.Start, true}, {c.Start, false}, {c.Stop, true}, {c.Stop, false}} {
		if changed, err := tc.do(t.Context(), run); err != nil || changed != tc.want {
			t.Errorf("after %v: got %t, %v; want %t", did, changed, err, tc.want)
		}
	}
	if diff := cmp.Diff([]string{"start", "stop"}, did); diff != "" {
		t.Error(diff)
	}
}
