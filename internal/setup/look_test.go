package setup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/launchd"
	"github.com/nixnfsd/nixnfsd/launchd/systemd"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
)

// TestLookAtMac has commands of macOS answer, and the files be this machine's.
func TestLookAtMac(t *testing.T) {
	c := macConfig()
	c.Home, c.Export = t.TempDir(), filepath.Join(t.TempDir(), "nix")
	c.Program = filepath.Join(c.Home, "nixnfsd")
	if err := os.Symlink(filepath.Join(c.Export, "store", "nixnfsd"), c.Program); err != nil {
		t.Fatal(err)
	}
	nixie := filepath.Join(c.Home, "Library", "Nix")
	if err := os.MkdirAll(nixie, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(_ context.Context, args []string) (string, error) {
		switch line := strings.Join(args, " "); line {
		case "/usr/bin/sw_vers -productVersion":
			return "14.6.1\n", nil
		case "/bin/launchctl print system/" + launchd.KeeperLabel:
			return "system/x = {\n\tstate = running\n}\n", nil
		}
		return "", errors.New("exit status 113: Could not find service")
	}
	s, err := Look(t.Context(), c, run)
	if err != nil {
		t.Fatal(err)
	}
	if want := (synthetic.Release{Major: 14, Minor: 6}); s.Release != want || !s.Runs[launchd.KeeperLabel] || s.Runs[launchd.ServerLabel] {
		t.Errorf("release %s, jobs %v", s.Release, s.Runs)
	}
	if !s.InMount {
		t.Error("a link into the mount is taken for a program outside of it")
	}
	if !slices.Contains(s.Others, nixie) || !s.Dirs[filepath.Join(c.Home, "Library")] || s.Dirs[filepath.Join(c.Home, "Library/LaunchAgents")] {
		t.Errorf("others %v, directories %v", s.Others, s.Dirs)
	}
}

func TestLookAtPoint(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"full/store", "empty"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("full", filepath.Join(dir, "link")), os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	tt := []struct {
		name string
		want Point
	}{
		{"full", Point{Kind: Directory, Names: []string{"store"}}},
		{"empty", Point{Kind: Directory}},
		{"link", Point{Kind: Symlink, Target: "full"}},
		{"file", Point{Kind: Other}},
		{"nothing", Point{Kind: Absent}},
	}
	for _, tc := range tt {
		var s Seen
		if err := s.lookAtPoint(filepath.Join(dir, tc.name)); err != nil {
			t.Error(err)
		}
		if got := s.Point; got.Kind != tc.want.Kind || got.Target != tc.want.Target || !slices.Equal(got.Names, tc.want.Names) {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestLookAtLinux(t *testing.T) {
	c := linuxConfig()
	c.Configs, c.Export = t.TempDir(), filepath.Join(t.TempDir(), "nix")
	unit := filepath.Join(c.Configs, systemd.UserDir, systemd.ServerUnit)
	if err := errors.Join(os.MkdirAll(filepath.Dir(unit), 0o755), os.WriteFile(unit, []byte("unit"), 0o644), os.Chmod(filepath.Dir(c.Export), 0o777)); err != nil {
		t.Fatal(err)
	}
	run := func(_ context.Context, args []string) (string, error) {
		if slices.Contains(args, "--user") {
			return "LoadState=loaded\nSubState=running\nUnitFileState=enabled\n", nil
		}
		return "LoadState=loaded\nSubState=auto-restart\nUnitFileState=enabled\n", nil
	}
	s, err := Look(t.Context(), c, run)
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Files[unit]) != "unit" || !s.Runs[systemd.ServerUnit] || s.Runs[systemd.KeeperUnit] {
		t.Errorf("files %q, units %v", s.Files, s.Runs)
	}
	if len(s.Loose) == 0 {
		t.Error("a mount point in a directory that everybody may change is fine")
	}
}

// TestPipe waits at no pipe that has a file's or a directory's name.
func TestPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadReceipt(pipe); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("as a receipt: %v", err)
	}
	if _, err := firstNames(pipe); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("as a directory: %v", err)
	}
}
