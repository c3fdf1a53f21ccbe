package doctor

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/keep"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
	"github.com/nixnfsd/nixnfsd/overlay"
)

var update = flag.Bool("update", false, "write the golden files anew")

// byHand is a server that somebody has started and mounted himself, all well.
func byHand(system string) *Sight {
	addr := netip.MustParseAddrPort("127.0.0.1:12049")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	dir := func(use string, mode fs.FileMode) Dir {
		return Dir{Use: use, Path: "/home/you/" + use, Real: "/home/you/" + use, There: true, Dir: true, UID: 1000, Mode: mode, Avail: 1 << 40, Total: 1 << 41, Files: 1 << 20, MaxFiles: 1 << 21}
	}
	state := dir("state", 0o700)
	state.Key = &Key{Mode: 0o600, Size: keySize}
	return &Sight{
		Config: Config{
			Setup: &setup.Config{
				System: system, UID: 1000, Home: "/home/you", Configs: "/home/you/.config", State: "/home/you/state",
				Program: "/home/you/bin/nixnfsd", Addr: addr, Export: "/nix",
			},
			Version: "v1", Restart: []string{"/home/you/bin/nixnfsd", "restart"},
		},
		Now: now, Newest: now.Add(-time.Hour),
		Status: mount.Status{
			SchemaVersion: 1, State: mount.Mounted, Summary: "/nix is mounted from 127.0.0.1:12049 and works",
			Server: mount.Server{Address: addr.String(), Up: true}, MountPoint: "/nix",
			Mount: &mount.Mount{From: "127.0.0.1:/nix", Type: "nfs", Server: addr.String(), Options: []string{"rw", "hard"}},
		},
		Server:  &Server{Version: "v1", Layers: []overlay.Layer{{Path: "/home/you/upper", Kind: "upper"}}},
		Process: &Process{PID: 7, OpenFiles: 1 << 20},
		Machine: &setup.Seen{
			Release: synthetic.Release{Major: 14}, Files: map[string][]byte{}, Dirs: map[string]bool{}, Noted: map[string]bool{}, Runs: map[string]bool{},
			Point: setup.Point{Mount: &mount.Entry{Dir: "/nix", Type: "nfs", From: "127.0.0.1:/nix", Options: []string{"port=12049", "vers=3"}}},
		},
		Digests: setup.Digests{},
		Dirs:    []Dir{dir("upper", 0o755), dir("work", 0o700), state},
	}
}

// setUp is a machine that setup has been at, all well.
func setUp(t *testing.T, system string) *Sight {
	t.Helper()
	s := byHand(system)
	c := s.Setup
	plan, err := setup.New(c, &setup.Seen{Release: synthetic.Release{Major: 14}, Files: map[string][]byte{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range plan.Steps {
		if step.Path == "" || step.Mode.IsDir() {
			continue
		}
		for dir := path.Dir(step.Path); !s.Machine.Dirs[dir]; dir = path.Dir(dir) {
			s.Machine.Dirs[dir] = true
		}
		change := setup.Change{Path: step.Path, Digest: fmt.Sprintf("%x", sha256.Sum256(step.Content))}
		receipt := &s.User
		if step.Root {
			receipt = &s.Root
		}
		receipt.Changes = append(receipt.Changes, change)
		s.Digests[step.Path] = change.Digest
		s.Machine.Files[step.Path], s.Machine.Noted[step.Path] = step.Content, true
		if strings.HasPrefix(step.Path, synthetic.Dir) {
			s.Machine.Manifests = []synthetic.Manifest{{Path: step.Path, Text: step.Content}}
		}
	}
	for _, name := range []string{"nixnfsd.service", "nixnfsd-keep.service", label(true), label(false)} {
		s.Machine.Runs[name] = true
	}
	s.Jobs = []Job{{Keeper: true, Loaded: true, Running: true}, {Loaded: true, Running: true}}
	s.Keeper = &keep.Status{Owner: 1000, Address: c.Addr.String(), Export: "/nix", MountPoint: "/nix", Server: "own", Mount: "mounted"}
	return s
}

// seen is a problem of package mount's.
func seen(state mount.State, names ...string) func(*Sight) {
	return func(s *Sight) {
		s.Status.State = state
		if state == mount.NotMounted || state == mount.NotRunning {
			s.Status.Mount, s.Machine.Point = nil, setup.Point{Kind: setup.Directory}
		}
		s.Status.Server.Up = state != mount.NotRunning && state != mount.DeadMount
		for _, n := range names {
			s.Status.Problems = append(s.Status.Problems, mount.Problem{Name: n, What: n + " is seen", Mend: "do something"})
		}
	}
}

func (s *Sight) dir(use string) *Dir {
	i := slices.IndexFunc(s.Dirs, func(d Dir) bool { return d.Use == use })
	return &s.Dirs[i]
}

// layer has the running server tell a problem of its upper.
func layer(name string) func(*Sight) {
	return func(s *Sight) {
		s.Server.Layers[0].Problems = []overlay.LayerProblem{{Name: name, What: "so", Mend: "do"}}
	}
}

// lose has a file of setup's be gone, or have another content.
func lose(digest string, file func(*setup.Config) string) func(*Sight) {
	return func(s *Sight) {
		path := file(s.Setup)
		s.Digests[path] = digest
		delete(s.Machine.Files, path)
	}
}

func keeperFile(c *setup.Config) string { file, _ := c.JobFiles(); return file }
func serverFile(c *setup.Config) string { _, file := c.JobFiles(); return file }

// fault is something that goes wrong with a machine on which all is well.
type fault struct {
	name  string
	on    string // "hand", "linux" or "darwin"
	wrong func(*Sight)
	want  []string // names; those that --fix mends with a plus
}

var faults = []fault{
	{"no server", "hand", seen(mount.NotRunning, mount.ServerDown), []string{mount.ServerDown}},
	{"no server, though set up", "linux", func(s *Sight) { seen(mount.NotRunning, mount.ServerDown)(s); s.Jobs[1].Running = false }, []string{"+" + mount.ServerDown, "+" + ServerStopped}},
	{"dead, though set up", "darwin", func(s *Sight) { seen(mount.DeadMount, mount.ServerDown, mount.MountDead)(s); s.Jobs[1].Running = false }, []string{"+" + mount.ServerDown, "+" + mount.MountDead, "+" + ServerStopped}},
	{"dead", "hand", seen(mount.DeadMount, mount.MountDead), []string{mount.MountDead}},
	{"port taken", "hand", seen(mount.NotRunning, mount.PortTaken), []string{mount.PortTaken}},
	{"refused", "hand", seen(mount.Mounted, mount.ServerRefuses), []string{mount.ServerRefuses}},
	{"not mounted", "hand", seen(mount.NotMounted, mount.NotMountedYet), []string{"+" + mount.NotMountedYet}},
	{"not mounted by the keeper", "linux", seen(mount.NotMounted, mount.NotMountedYet), []string{"+" + mount.NotMountedYet}},
	{"no directory", "hand", func(s *Sight) {
		seen(mount.NotMounted, mount.NoMountPoint, mount.NotMountedYet)(s)
		s.Machine.Point.Kind = setup.Absent
	}, []string{"+" + mount.NoMountPoint, "+" + mount.NotMountedYet}},
	{"no mount.nfs", "hand", seen(mount.NotMounted, mount.NoMountHelper, mount.NotMountedYet), []string{mount.NoMountHelper, mount.NotMountedYet}},
	{"silent", "hand", seen(mount.Mounted, mount.MountSilent), []string{mount.MountSilent}},
	{"stale", "hand", seen(mount.Mounted, mount.MountStale), []string{"+" + mount.MountStale}},
	{"stacked", "hand", seen(mount.Mounted, mount.MountsStacked), []string{"+" + mount.MountsStacked}},
	{"elsewhere", "hand", seen(mount.MountedElsewhere, mount.MountedOver), []string{mount.MountedOver}},
	{"another dead mount", "hand", seen(mount.DeadMount, mount.OtherMountDead), []string{mount.OtherMountDead}},
	{"another user's", "hand", seen(mount.MountedElsewhere, mount.MountOfAnotherUser), []string{mount.MountOfAnotherUser}},
	{"options", "linux", seen(mount.Mounted, mount.MountSoft, mount.MountNoExec, mount.MountLocks), []string{"+" + mount.MountSoft, "+" + mount.MountNoExec, "+" + mount.MountLocks}},
	{"quarantine", "darwin", seen(mount.Mounted, mount.MountQuarantine), []string{"+" + mount.MountQuarantine}},
	{"privacy", "darwin", seen(mount.Mounted, mount.PrivacyRefused), []string{mount.PrivacyRefused}},

	{"server's unit off", "linux", func(s *Sight) { s.Jobs[1].Off = true }, []string{"+" + ServerOff}},
	{"agent off", "darwin", func(s *Sight) { s.Jobs[1].Off = true }, []string{"+" + ServerOff}},
	{"agent unloaded", "darwin", func(s *Sight) { s.Jobs[1] = Job{} }, []string{"+" + ServerUnloaded}},
	{"server's unit changed", "linux", func(s *Sight) { s.Jobs[1].Stale = true }, []string{"+" + ServerStale}},
	{"server's unit fails", "linux", func(s *Sight) {
		seen(mount.NotRunning, mount.ServerDown)(s)
		s.Jobs[1] = Job{Loaded: true, Failed: true, Reason: "auto-restart"}
	}, []string{mount.ServerDown, ServerFailing}},
	{"keeper's unit off", "linux", func(s *Sight) { s.Jobs[0].Off = true }, []string{"+" + KeeperOff}},
	{"daemon unloaded", "darwin", func(s *Sight) { s.Jobs[0] = Job{Keeper: true} }, []string{"+" + KeeperUnloaded}},
	{"keeper's unit changed", "linux", func(s *Sight) { s.Jobs[0].Stale = true }, []string{"+" + KeeperStale}},
	{"keeper stopped", "linux", func(s *Sight) { s.Keeper, s.Jobs[0].Running = nil, false }, []string{"+" + KeeperStopped}},
	{"keeper fails", "darwin", func(s *Sight) { s.Keeper, s.Jobs[0].Running, s.Jobs[0].Failed = nil, false, true }, []string{KeeperFailing}},
	{"keeper stopped and not mounted", "linux", func(s *Sight) {
		seen(mount.NotMounted, mount.NotMountedYet)(s)
		s.Keeper, s.Jobs[0].Running = nil, false
	}, []string{mount.NotMountedYet, "+" + KeeperStopped}},

	{"another version", "hand", func(s *Sight) { s.Server.Version = "v0" }, []string{"+" + ServerOld}},
	{"program replaced", "hand", func(s *Sight) { s.Process.Replaced = true }, []string{"+" + ServerOld}},
	{"few files", "hand", func(s *Sight) { s.Process.OpenFiles = 256 }, []string{OpenFilesLow}},

	{"keeper's file gone", "linux", lose("", keeperFile), []string{"+" + SetupFileMissing}},
	{"agent's file gone", "darwin", lose("", serverFile), []string{"+" + SetupFileMissing}},
	{"server's file edited", "linux", lose("else", serverFile), []string{"+" + SetupFileChanged}},
	{"set up with other flags", "linux", func(s *Sight) { lose("", keeperFile)(s); s.User.Changes[len(s.User.Changes)-1].Digest = "else" }, []string{SetupFileMissing, SetupFileChanged}},
	{"half", "linux", func(s *Sight) {
		s.Root = setup.Receipt{}
		lose("", keeperFile)(s)
		lose("", (*setup.Config).RootProgram)(s)
		s.Keeper, s.Jobs = nil, s.Jobs[1:]
	}, []string{"+" + SetupHalf}},
	{"receipt lost", "linux", func(s *Sight) {
		s.Root = setup.Receipt{}
		delete(s.Machine.Noted, keeperFile(s.Setup))
	}, []string{"+" + SetupHalf}},
	{"root's copy", "linux", func(s *Sight) { delete(s.Machine.Files, s.Setup.RootProgram()) }, []string{"+" + RootProgramOld}},
	{"receipt", "linux", func(s *Sight) { s.BadReceipt = errors.New("read the receipt: no JSON") }, []string{ReceiptBroken}},
	{"no synthetic entry", "darwin", func(s *Sight) {
		s.Machine.Manifests[0].Text = []byte("other\n")
		delete(s.Machine.Files, synthetic.Dir+"/nixnfsd")
	}, []string{"+" + SyntheticMissing}},
	{"restart owed", "darwin", func(s *Sight) {
		seen(mount.NotMounted, mount.NoMountPoint)(s)
		s.Machine.Point.Kind = setup.Absent
	}, []string{mount.NoMountPoint, "+" + SyntheticInactive}},
	{"another Nix", "hand", func(s *Sight) { s.Machine.Others = []string{"/Library/LaunchDaemons/org.nixos.nix-daemon.plist"} }, []string{setup.OtherNix}},
	{"symlink", "hand", func(s *Sight) { s.Machine.Point = setup.Point{Kind: setup.Symlink} }, []string{setup.PointSymlink}},
	{"file", "hand", func(s *Sight) { s.Machine.Point = setup.Point{Kind: setup.Other} }, []string{setup.PointNotDirectory}},
	{"hidden", "linux", func(s *Sight) { s.Machine.Point = setup.Point{Kind: setup.Directory, Names: []string{"store"}} }, []string{setup.PointNotEmpty}},
	{"nested", "darwin", func(s *Sight) {
		s.Setup.Export = "/a/nix"
		s.Machine.Point = setup.Point{Kind: setup.Directory}
	}, []string{SyntheticMissing, setup.PointUnfit}},
	{"linked", "darwin", func(s *Sight) { s.Machine.Manifests[0].Text = []byte("nix\tUsers/nix\n") }, []string{SyntheticMissing, setup.SyntheticConflict}},
	{"fstab", "linux", func(s *Sight) { s.Machine.Fstab = "/dev/sdb /nix ext4 defaults 0 0\n" }, []string{setup.Fstab}},
	{"program in the mount", "linux", func(s *Sight) { s.Machine.InMount = true }, []string{setup.ProgramInMount}},
	{"loose", "linux", func(s *Sight) { s.Machine.Loose = []string{"/opt"} }, []string{"+" + setup.LooseDirectory}},
	{"loose and everybody's", "linux", func(s *Sight) { s.Machine.Loose, s.Machine.Sticky = []string{"/tmp"}, []string{"/tmp"} }, []string{setup.LooseDirectory}},
	{"loose at home", "linux", func(s *Sight) { s.Machine.Loose = []string{"/home/you"} }, []string{setup.LooseDirectory}},
	{"another user's keeper", "linux", func(s *Sight) { s.Machine.Files[keeperFile(s.Setup)] = []byte("ExecStart=x keep --owner 7 ") }, []string{setup.KeeperOfAnotherUser}},
	{"no manager", "linux", func(s *Sight) { s.Machine.NoManager, s.Jobs = "no bus", s.Jobs[:1] }, []string{setup.NoUserManager}},
	{"another unit path", "linux", func(s *Sight) { s.Machine.UnitPath = []string{"/etc/systemd/user"} }, []string{setup.OtherUnitPath}},
	{"no systemd", "linux", func(s *Sight) { s.Machine.NoSystemd = true }, []string{setup.NoSystemd}},

	{"in the mount", "hand", func(s *Sight) { *s.dir("work") = Dir{Use: "work", Path: "/nix/work", InMount: true} }, []string{DirectoryInMount}},
	{"no directory", "hand", func(s *Sight) { s.dir("state").Dir = false }, []string{NotADirectory}},
	{"upper gone", "hand", func(s *Sight) { *s.dir("upper") = Dir{Use: "upper", Path: "/gone"} }, []string{UpperMissing}},
	{"upper open", "hand", func(s *Sight) { s.dir("upper").Mode = 0o777 }, []string{"+" + UpperOpen}},
	{"upper of root", "hand", func(s *Sight) { s.dir("upper").UID = 0 }, []string{UpperForeign}},
	{"work open", "hand", func(s *Sight) { s.dir("work").Mode = 0o770 }, []string{"+" + WorkOpen}},
	{"work of root", "hand", func(s *Sight) { s.dir("work").UID = 0 }, []string{"+" + WorkForeign}},
	{"state of root's own", "hand", func(s *Sight) { s.dir("state").UID, s.dir("state").Path = 0, "/etc" }, []string{StateForeign}},
	{"state open", "hand", func(s *Sight) { s.dir("state").Mode = 0o777 }, []string{"+" + StateOpen}},
	{"state of somebody", "hand", func(s *Sight) { s.dir("state").UID = 7 }, []string{StateForeign}},
	{"key open", "hand", func(s *Sight) { s.dir("state").Key.Mode = 0o640 }, []string{"+" + KeyOpen}},
	{"key linked", "hand", func(s *Sight) { s.dir("state").Key.Mode = fs.ModeSymlink | 0o777 }, []string{KeyNotFile}},
	{"key short", "hand", func(s *Sight) { s.dir("state").Key.Size = 3 }, []string{KeyBroken}},
	{"moved", "hand", layer(overlay.LayerMoved), []string{overlay.LayerMoved}},
	{"unreadable", "hand", layer(overlay.LayerUnreadable), []string{overlay.LayerUnreadable}},
	{"was upper", "hand", layer(overlay.LayerWasUpper), []string{overlay.LayerWasUpper}},
	{"read-only", "hand", layer(overlay.UpperUnwritable), []string{overlay.UpperUnwritable}},
	{"full", "hand", func(s *Sight) { layer(overlay.UpperFull)(s); s.dir("upper").Avail = 0 }, []string{overlay.UpperFull}},
	{"little space", "hand", func(s *Sight) { s.dir("upper").Avail = 1 << 20 }, []string{SpaceLow}},
	{"few inodes", "hand", func(s *Sight) { s.dir("upper").Files = 5 }, []string{FilesLow}},
	{"no inodes by number", "hand", func(s *Sight) { s.dir("upper").Files, s.dir("upper").MaxFiles = 0, 0 }, nil}, // btrfs
	{"removed files", "hand", func(s *Sight) { seen(mount.NotMounted)(s); s.Removed = 2 }, []string{RemovedFilesLeft}},
	{"removed files in use", "hand", func(s *Sight) { s.Removed = 2 }, nil},

	{"store linked", "hand", func(s *Sight) { s.Store.Kind = setup.Symlink }, []string{StoreSymlink}},
	{"var gone", "hand", func(s *Sight) { s.Var = Place{Kind: setup.Symlink, Target: "/gone", Missing: true} }, []string{VarDangling}},
	{"var in the mount", "hand", func(s *Sight) { s.Var = Place{Kind: setup.Symlink, Target: "/nix/x", InMount: true} }, []string{VarInMount}},
	{"var far", "hand", func(s *Sight) { s.Var = Place{Kind: setup.Symlink, Target: "/Users/a b/var"} }, []string{VarUnfit}},
	{"var linked", "darwin", func(s *Sight) {
		s.Var = Place{Kind: setup.Symlink, Target: "/Users/you/Library/nixnfsd/var"}
		s.Database = &Database{WAL: true}
	}, nil},
	{"var on the mount", "darwin", func(s *Sight) { s.Database = &Database{OnMount: true} }, []string{VarOnMount}},
	{"var on Linux", "hand", func(s *Sight) { s.Database = &Database{OnMount: true, WAL: true} }, nil},
	{"WAL on the mount", "darwin", func(s *Sight) { s.Database = &Database{OnMount: true, WAL: true} }, []string{DatabaseWAL}},
	{"no database", "hand", func(s *Sight) { s.Database = &Database{Broken: true} }, []string{DatabaseBroken}},

	{"backups", "darwin", func(s *Sight) { s.Copied = []string{"/Users/you/Library/nixnfsd"} }, []string{"+" + TimeMachineCopies}},
	{"index", "darwin", func(s *Sight) { s.Indexed = "/Users/you/Library/nixnfsd" }, []string{"+" + SpotlightIndexes}},
	{"hook", "hand", func(s *Sight) { s.StaleHooks = []string{"/home/you/.profile"} }, []string{ShellHookStale}},
	{"clock lost", "hand", func(s *Sight) { s.Now = time.Unix(0, 0) }, []string{ClockWrong}},
	{"clock set back", "hand", func(s *Sight) { s.Now = s.Now.AddDate(0, -1, 0) }, []string{ClockBehind}},
	{"hung", "hand", func(s *Sight) { s.Unseen = []string{"the upper: no answer in 15s"} }, []string{Unseen}},
}

func (f fault) sight(t *testing.T) *Sight {
	if f.on == "hand" {
		return byHand("linux")
	}
	return setUp(t, f.on)
}

// TestFaults has each kind of problem be found by its name, and nothing else with it.
func TestFaults(t *testing.T) {
	found := map[string]bool{}
	for _, f := range faults {
		s := f.sight(t)
		f.wrong(s)
		var got []string
		for _, p := range Diagnose(s) {
			found[p.Name] = true
			name := p.Name
			if len(p.Fix) > 0 {
				name = "+" + name
			}
			got = append(got, name)
			if p.What == "" || p.Mend == "" || p.Severity == "" {
				t.Errorf("%s: something is missing: %+v", f.name, p)
			}
		}
		want := slices.Clone(f.want)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", f.name, diff)
		}
	}
	for _, k := range Kinds() {
		if !found[k.Name] {
			t.Errorf("%s is never found", k.Name)
		}
	}
}

// TestWell has a machine on which all is well be told nothing.
func TestWell(t *testing.T) {
	root := setUp(t, "linux")
	root.Setup.UID = 0
	fresh := byHand("linux") // nothing was ever started
	fresh.Server, fresh.Process = nil, nil
	for i := range fresh.Dirs {
		fresh.Dirs[i] = Dir{Use: fresh.Dirs[i].Use, Path: fresh.Dirs[i].Path}
	}
	for name, s := range map[string]*Sight{
		"by hand": byHand("linux"), "by hand, macOS": byHand("darwin"), "set up": setUp(t, "linux"), "set up, macOS": setUp(t, "darwin"),
		"looked at by root": root, "another server's directories": fresh,
	} {
		r := NewReport(s)
		if len(r.Problems) > 0 || !r.Well() {
			t.Errorf("%s: %+v", name, r.Problems)
		}
	}
}

// TestKinds has no name be there twice, and the table of the manual be of these.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if seen[k.Name] || k.About == "" || k.Severity == "" {
			t.Errorf("%+v", k)
		}
		seen[k.Name] = true
	}
	testenv.Golden(t, "../../docs/check.md", manual(), *update)
}

// TestPlan shows what --fix runs for every fault that it mends.
func TestPlan(t *testing.T) {
	var b strings.Builder
	for _, f := range faults {
		s := f.sight(t)
		f.wrong(s)
		if plan := Plan(Diagnose(s)); len(plan.Steps) > 0 {
			fmt.Fprintf(&b, "# %s (%s)\n%s", f.name, f.on, plan.Text())
		}
	}
	testenv.Golden(t, "testdata/plans.txt", b.String(), *update)
}

// TestReport holds what programs and people get.
func TestReport(t *testing.T) {
	s := setUp(t, "linux")
	seen(mount.NotMounted, mount.NotMountedYet)(s)
	s.Keeper.Away = true
	s.dir("upper").Avail = 1 << 20
	r := NewReport(s)
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	testenv.Golden(t, "testdata/report.json", string(text)+"\n", *update)
	after := NewReport(setUp(t, "linux"))
	after.Compare(r.Problems)
	testenv.Golden(t, "testdata/report.txt", r.Text()+"\n"+after.Text(), *update)
	again := r
	again.Compare(r.Problems)
	if diff := cmp.Diff([]string{mount.NotMountedYet}, again.Left); diff != "" || len(again.Mended) > 0 {
		t.Errorf("not mended: %s", diff)
	}
}

// manual is docs/check.md.
func manual() string {
	return `# What check finds

` + "`nixnfsd check`" + ` tells each problem by a name that stays as it is, with what is wrong and how to mend it;
` + "`--json`" + ` has them in ` + "`problems`" + `. A warning tells of what works and could be better, and leaves exit code 0. Where the
third column says something, ` + "`nixnfsd check --fix`" + ` does that, if it loses nothing in the case: it shows every
command, asks once (` + "`--yes`" + ` does not), and looks again.

` + Table()
}
