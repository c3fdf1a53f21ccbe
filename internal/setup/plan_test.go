package setup

import (
	"flag"
	"maps"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/launchd"
	"github.com/nixnfsd/nixnfsd/launchd/systemd"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
)

var update = flag.Bool("update", false, "write the golden files")

func macConfig() *Config {
	return &Config{
		System: "darwin", UID: 501, Home: "/Users/you", State: "/Users/you/Library/Application Support/nixnfsd",
		Program: "/Users/you/bin/nixnfsd", Addr: netip.MustParseAddrPort("127.0.0.1:12049"), Export: "/nix", Data: "/Users/you/Library/nixnfsd",
		Layout: mount.Layout{Upper: "/Users/you/Library/nixnfsd/upper", Work: "/Users/you/Library/nixnfsd/work", State: "/Users/you/Library/Application Support/nixnfsd"},
	}
}

func linuxConfig() *Config {
	return &Config{
		System: "linux", UID: 1000, Home: "/home/you", Configs: "/home/you/.config", State: "/home/you/.local/state/nixnfsd",
		Program: "/home/you/bin/nixnfsd", Addr: netip.MustParseAddrPort("127.0.0.1:12049"), Export: "/nix", Flags: []string{"--lower", "/srv/my nix"},
		Data:   "/home/you/.local/share/nixnfsd",
		Layout: mount.Layout{Upper: "/home/you/.local/share/nixnfsd/upper", Work: "/home/you/.local/share/nixnfsd/work", State: "/home/you/.local/state/nixnfsd"},
	}
}

// dirs has all directories above some paths be there.
func dirs(paths ...string) map[string]bool {
	there := map[string]bool{}
	for _, p := range paths {
		for ; !there[p]; p = filepath.Dir(p) {
			there[p] = true
		}
	}
	return there
}

// mac is a Mac as it comes, with what a manifest says.
func mac(major, minor int, conf string) *Seen {
	s := &Seen{
		Release: synthetic.Release{Major: major, Minor: minor}, Files: map[string][]byte{}, Runs: map[string]bool{}, Noted: map[string]bool{},
		Manifests: []synthetic.Manifest{{Path: synthetic.Conf}},
		Dirs:      dirs("/etc", "/Library/LaunchDaemons", "/Library/PrivilegedHelperTools", "/Users/you/Library"),
	}
	if conf != "" {
		s.Manifests[0].Text = []byte(conf)
	}
	return s
}

// after is a machine on which a plan was carried out.
func after(s Seen, p *Plan, jobs ...string) *Seen {
	s.Files, s.Dirs, s.Runs, s.Noted = map[string][]byte{}, maps.Clone(s.Dirs), map[string]bool{}, map[string]bool{}
	for _, step := range p.Steps {
		switch {
		case step.Run != nil:
		case step.Mode.IsDir():
			s.Dirs[step.Path] = true
		default:
			s.Files[step.Path], s.Noted[step.Path] = step.Content, true
			if strings.HasPrefix(step.Path, synthetic.Dir) {
				s.Manifests = append(s.Manifests, synthetic.Manifest{Path: step.Path, Text: step.Content})
			}
		}
	}
	for _, name := range jobs {
		s.Runs[name] = true
	}
	s.Point = Point{Kind: Directory}
	return &s
}

func macDone(t *testing.T) *Seen {
	fresh := mac(14, 0, "")
	p, err := New(macConfig(), fresh)
	if err != nil {
		t.Fatal(err)
	}
	return after(*fresh, p, launchd.KeeperLabel, launchd.ServerLabel)
}

// linuxFresh is a Linux machine as it comes.
func linuxFresh() *Seen {
	return &Seen{Dirs: dirs("/etc/systemd/system", "/opt", "/home/you/.config")}
}

func linuxDone(t *testing.T) *Seen {
	fresh := linuxFresh()
	p, err := New(linuxConfig(), fresh)
	if err != nil {
		t.Fatal(err)
	}
	return after(*fresh, p, systemd.KeeperUnit, systemd.ServerUnit)
}

func TestPlans(t *testing.T) {
	upgraded := macDone(t)
	delete(upgraded.Files, "/Library/PrivilegedHelperTools/nixnfsd")
	rebooted := macDone(t)
	rebooted.Point = Point{}
	moved := linuxDone(t)
	moved.Files["/home/you/.config/systemd/user/nixnfsd.service"] = []byte("[Service]\nExecStart=/home/you/old/nixnfsd serve\n")
	ours := macDone(t)
	ours.Point = Point{Mount: &mount.Entry{Dir: "/nix", Type: "nfs", From: "127.0.0.1:/nix"}}
	unknown := linuxDone(t)
	delete(unknown.Noted, "/opt/nixnfsd/bin/nixnfsd")
	delete(unknown.Noted, "/etc/systemd/system/nixnfsd-keep.service")
	elsewhere, full := linuxConfig(), linuxDone(t)
	elsewhere.Layout.Upper, elsewhere.Layout.Work = "/srv/nix", "/srv/nix.work"
	full.Dirs["/srv"], full.Dirs["/srv/nix"], full.Full = true, true, map[string]bool{"/srv/nix": true}
	tt := []struct {
		name   string
		config *Config
		seen   *Seen
	}{
		{"macos-10.15", macConfig(), mac(10, 15, "")},
		{"macos-10.15-lines", macConfig(), mac(10, 15, "# ours\nrun\tprivate/var/run")},
		{"macos-11", macConfig(), mac(11, 0, "run\tprivate/var/run\n")},
		{"macos-12-listed", macConfig(), mac(12, 6, "nix\n")},
		{"macos-13", macConfig(), mac(13, 1, "")},
		{"macos-26", macConfig(), mac(26, 0, "")},
		{"macos-again", macConfig(), macDone(t)},
		{"macos-again-mounted", macConfig(), ours},
		{"macos-upgraded", macConfig(), upgraded},
		{"macos-not-yet-rebooted", macConfig(), rebooted},
		{"linux", linuxConfig(), linuxFresh()},
		{"linux-again", linuxConfig(), linuxDone(t)},
		{"linux-moved", linuxConfig(), moved},
		{"linux-receipt-lost", linuxConfig(), unknown},
		{"linux-upper-in-use", elsewhere, full},
	}
	for _, tc := range tt {
		if found := Obstacles(tc.config, tc.seen); len(found) > 0 {
			t.Errorf("%s: obstacles: %v", tc.name, found)
		}
		p, err := New(tc.config, tc.seen)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		checkPlan(t, tc.name, p)
		testenv.Golden(t, filepath.Join("testdata", tc.name+".txt"), p.Text(), *update)
	}
}

// checkPlan holds what is true of every plan: root is first, every step has a
// reason, and the text fits a terminal but for lines of files.
func checkPlan(t *testing.T, name string, p *Plan) {
	t.Helper()
	users := false
	for _, s := range p.Steps {
		users = users || !s.Root
		if s.Why == "" || s.Root && users {
			t.Errorf("%s: %v: out of order, or without a reason", name, s.words())
		}
	}
	for line := range strings.Lines(p.Text()) {
		if len(line) > width+1 && !strings.HasPrefix(line, "     |") && !strings.Contains(line, "apfs.util") {
			t.Errorf("%s: %d columns: %s", name, len(line)-1, line)
		}
	}
}

func TestUnknownSystem(t *testing.T) {
	c := linuxConfig()
	c.System = "plan9"
	if _, err := New(c, &Seen{}); err == nil {
		t.Error("there is a plan for plan9")
	}
}
