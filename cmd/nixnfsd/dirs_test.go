package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/mount"
)

// TestHomes has root not work in the home of another user, nor anybody in one that is nowhere.
func TestHomes(t *testing.T) {
	testenv.Require(t, os.Geteuid() == 0, "it gives a directory away, which takes root")
	home := t.TempDir()
	if err := os.Chown(home, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	tt := []struct {
		name, home, want string
		verb             []string
	}{
		{"bootstrap with sudo", home, "run it as that user, without sudo", []string{"bootstrap", "--tarball", "none"}},
		{"import with sudo", home, "run it as that user, without sudo", []string{"import", "--from", "/none"}},
		{"check --fix with sudo", home, "run it as that user, without sudo", []string{"check", "--fix"}},
		{"setup without a home", "home", `$HOME is "home", which is no absolute path`, []string{"setup", "--dry-run"}},
		{"bootstrap without a home", ".", `$HOME is ".", which is no absolute path`, []string{"bootstrap", "--tarball", "none"}},
	}
	for _, tc := range tt {
		t.Setenv("HOME", tc.home)
		t.Setenv("XDG_DATA_HOME", "")
		t.Setenv("XDG_STATE_HOME", "")
		var stdout, stderr bytes.Buffer
		if code := run(tc.verb, &stdout, &stderr); code != exitFailure || !strings.Contains(stderr.String(), tc.want) {
			t.Errorf("%s: exit code %d, %s", tc.name, code, stderr.String())
		}
	}
	if made, err := os.ReadDir(home); err != nil || len(made) > 0 {
		t.Errorf("made %v, %v", made, err)
	}
}

func TestUserPlaces(t *testing.T) {
	tt := []struct {
		name, goos string
		env        map[string]string
		want       places
	}{
		{"Linux", "linux", nil, places{"/home/u/.local/share/nixnfsd", "/home/u/.local/state/nixnfsd"}},
		{"XDG", "linux", map[string]string{"XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s"}, places{"/d/nixnfsd", "/s/nixnfsd"}},
		{"XDG, relative", "linux", map[string]string{"XDG_DATA_HOME": "d"}, places{"/home/u/.local/share/nixnfsd", "/home/u/.local/state/nixnfsd"}},
		{"macOS", "darwin", map[string]string{"XDG_DATA_HOME": "/d"}, places{"/home/u/Library/nixnfsd", "/home/u/Library/Application Support/nixnfsd"}},
	}
	for _, tc := range tt {
		got := userPlaces(tc.goos, "/home/u", func(name string) string { return tc.env[name] })
		if got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestLayoutDefaults(t *testing.T) {
	tt := []struct {
		name string
		opts dirOptions
		want mount.Layout
	}{
		{"bare", dirOptions{}, mount.Layout{MountPoint: "/nix", Upper: "/data/upper", Work: "/data/work", State: "/state"}},
		{"upper", dirOptions{upper: "/x/store/"}, mount.Layout{MountPoint: "/nix", Upper: "/x/store/", Work: "/x/store.work", State: "/state/upper-2babd97e7394bc5f"}},
		{"the standard upper, said", dirOptions{upper: "/data/upper/"}, mount.Layout{MountPoint: "/nix", Upper: "/data/upper/", Work: "/data/work", State: "/state"}},
		{"upper of that name", dirOptions{upper: "/x/upper"}, mount.Layout{MountPoint: "/nix", Upper: "/x/upper", Work: "/x/work", State: "/state/upper-279b65b83d6dbff3"}},
		{
			"all",
			dirOptions{upper: "/u", work: "/w", state: "/s", lowers: []string{"/a", "/b"}},
			mount.Layout{MountPoint: "/nix", Upper: "/u", Work: "/w", State: "/s", Lowers: []string{"/a", "/b"}},
		},
	}
	for _, tc := range tt {
		got := tc.opts.layout("/nix", places{data: "/data", state: "/state"})
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s:\n%s", tc.name, diff)
		}
	}
}
