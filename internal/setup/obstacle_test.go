package setup

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
)

func TestObstacles(t *testing.T) {
	tt := []struct {
		name  string
		spoil func(*Config, *Seen)
		want  string // part of what is said, empty: nothing is in the way
	}{
		{"nothing", func(*Config, *Seen) {}, ""},
		{"an empty directory", func(_ *Config, s *Seen) { s.Point.Kind = Directory }, ""},
		{"our mount", func(_ *Config, s *Seen) {
			s.Point.Mount = &mount.Entry{Type: "nfs", From: "127.0.0.1:/nix", Options: []string{"port=12049"}}
		}, ""},
		{"root", func(c *Config, _ *Seen) { c.UID = 0 }, "run by root"},
		{"a program in the mount", func(_ *Config, s *Seen) { s.InMount = true }, "lies in the mount"},
		{"an APFS volume", func(_ *Config, s *Seen) { s.Point.Mount = &mount.Entry{Type: "apfs", From: "/dev/disk3s7"} }, "an APFS volume, /dev/disk3s7, is mounted"},
		{"another server's mount", func(_ *Config, s *Seen) {
			s.Point.Mount = &mount.Entry{Type: "nfs", From: "127.0.0.1:/nix", Options: []string{"port=2049"}}
		}, "something else is mounted"},
		{"a link", func(_ *Config, s *Seen) { s.Point = Point{Kind: Symlink, Target: "/opt/nix"} }, "symbolic link to /opt/nix"},
		{"a file", func(_ *Config, s *Seen) { s.Point.Kind = Other }, "/nix is no directory"},
		{"a store", func(_ *Config, s *Seen) { s.Point = Point{Kind: Directory, Names: []string{"store", "var"}} }, "would hide: store, var"},
		{"fstab", func(_ *Config, s *Seen) {
			s.Fstab = "# /nix\nUUID=1 /nix apfs rw,noauto,nobrowse\n/dev/x /nix2 ext4\n"
		}, "UUID=1 /nix apfs"},
		{"fstab without it", func(_ *Config, s *Seen) { s.Fstab = "#x /nix apfs\n/dev/x /nix/store ext4\n\nx\n" }, ""},
		{"a directory of others'", func(_ *Config, s *Seen) { s.Loose = []string{"/opt"} }, "others than root may change what is in /opt"},
		{"another user's keeper", func(c *Config, s *Seen) { another(t, c, s) }, "for another user, uid 502"},
		{"our keeper of another time", func(c *Config, s *Seen) {
			c.Addr = netip.MustParseAddrPort("127.0.0.1:1")
			another(t, c, s)
			c.UID = 502
		}, ""},
		{"another Nix", func(_ *Config, s *Seen) { s.Others = []string{"/Library/LaunchDaemons/org.nixos.nix-daemon.plist"} }, "another installation"},
		{"a name that is not in the root", func(c *Config, _ *Seen) { c.Export = "/opt/nix" }, "macOS can make no directory for /opt/nix"},
		{"a name that is two columns", func(c *Config, _ *Seen) { c.Export = "/nix\tusr" }, "macOS can make no directory"},
		{"a synthetic link", func(_ *Config, s *Seen) { s.Manifests[0].Text = []byte("nix\tx\n") }, "line 1 makes /nix a symbolic link"},
		{"a managed manifest", func(_ *Config, s *Seen) {
			s.Release = synthetic.Release{Major: 10, Minor: 15}
			s.Manifests[0].Foreign = "a symbolic link to /etc/static/synthetic.conf"
		}, "is a symbolic link to /etc/static/synthetic.conf"},
	}
	for _, tc := range tt {
		c, s := macConfig(), mac(14, 0, "")
		tc.spoil(c, s)
		got := Obstacles(c, s)
		if tc.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || tc.want == "" || !strings.Contains(got[0].What, tc.want) || got[0].Mend == "" {
			t.Errorf("%s: got %v, want %q", tc.name, got, tc.want)
		}
	}
}

// another has the keeper of uid 502 be set up.
func another(t *testing.T, c *Config, s *Seen) {
	t.Helper()
	theirs := *c
	theirs.UID = 502
	p, err := New(&theirs, s)
	if err != nil {
		t.Fatal(err)
	}
	s.Files = after(*s, p).Files
}

func TestLinuxObstacles(t *testing.T) {
	theirs := []byte("ExecStart=:/opt/nixnfsd/bin/nixnfsd keep --owner 1001 --listen 127.0.0.1:12049\n")
	got := Obstacles(linuxConfig(), &Seen{NoSystemd: true, NoHelper: true, Files: map[string][]byte{"/etc/systemd/system/nixnfsd-keep.service": theirs}})
	if len(got) != 3 {
		t.Errorf("got %v, want three", got)
	}
	for name, seen := range map[string]*Seen{
		NoUserManager: {NoManager: "exit status 1: Failed to connect to bus: No medium found"},
		OtherUnitPath: {UnitPath: []string{"/home/other/.config/systemd/user", "/etc/systemd/user"}},
		"":            {UnitPath: []string{"/home/you/.config/systemd/user", "/etc/systemd/user"}},
	} {
		got := Obstacles(linuxConfig(), seen)
		if name == "" && len(got) > 0 || name != "" && (len(got) != 1 || got[0].Name != name) {
			t.Errorf("got %v, want %q", got, name)
		}
	}
}
