package doctor

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/keep"
)

// scene is a user's home with a server's directories in it, and eyes that see no server.
func scene(t *testing.T) (Config, Eyes) {
	t.Helper()
	home := t.TempDir()
	l := mount.Layout{MountPoint: home + "/mnt", Upper: home + "/data/upper", Work: home + "/data/work", State: home + "/state"}
	for _, dir := range []string{l.Upper, l.Work, l.State} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c := Config{
		Setup: &setup.Config{
			System: runtime.GOOS, UID: 4711, Home: home, Configs: home + "/.config", Data: home + "/data", State: l.State,
			Program: os.Args[0], Addr: netip.MustParseAddrPort("127.0.0.1:1"), Export: l.MountPoint,
		},
		Layout: l,
	}
	e := Eyes{
		Run: func(_ context.Context, args []string) (string, error) {
			return "", errors.New(args[0] + " is not to be run")
		},
		Status: func(context.Context) (mount.Status, error) { return mount.Status{State: mount.NotRunning}, nil },
		Server: func(context.Context) (*Server, error) { return nil, nil },
		Keeper: func(context.Context) (*keep.Status, error) { return nil, nil },
	}
	return c, e
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, file string) {
	t.Helper()
	if err := os.Symlink(target, file); err != nil {
		t.Fatal(err)
	}
}

// header is that of a database of SQLite's.
func header(version byte) string {
	return databaseMagic + "\x10\x00" + strings.Repeat(string([]byte{version}), 2) + strings.Repeat("\x00", 80)
}

// TestLook has files be as they should not, and finds them so.
func TestLook(t *testing.T) {
	tt := []struct {
		name string
		make func(t *testing.T, l mount.Layout)
		saw  func(s *Sight) bool
	}{
		{"nothing", func(*testing.T, mount.Layout) {}, func(s *Sight) bool {
			return len(s.Dirs) == 3 && s.Dirs[0].There && s.Database == nil && s.Var == Place{} && len(s.Unseen) == 0 && s.Dirs[0].Total > 0
		}},
		{"no upper", func(t *testing.T, l mount.Layout) { _ = os.Remove(l.Upper) }, func(s *Sight) bool { return !s.dir("upper").There }},
		{"key", func(t *testing.T, l mount.Layout) { write(t, l.State+"/key", "12", 0o600) }, func(s *Sight) bool {
			k := s.dir("state").Key
			return k != nil && k.Size == 2 && k.Mode == 0o600 && !s.Newest.IsZero()
		}},
		{"upper in the mount", func(t *testing.T, l mount.Layout) {
			_ = os.Remove(l.Upper)
			link(t, l.MountPoint+"/x", l.Upper)
		}, func(s *Sight) bool { return s.dir("upper").InMount && !s.dir("upper").There }},
		{"store", func(t *testing.T, l mount.Layout) { link(t, "/elsewhere", l.Upper+"/store") }, func(s *Sight) bool { return s.Store.Kind == setup.Symlink }},
		{"var gone", func(t *testing.T, l mount.Layout) { link(t, l.State+"/gone", l.Upper+"/var") }, func(s *Sight) bool { return s.Var.Missing }},
		{"var in the mount", func(t *testing.T, l mount.Layout) { link(t, "elsewhere", l.Upper+"/var") }, func(s *Sight) bool { return s.Var.InMount }},
		{"var elsewhere", func(t *testing.T, l mount.Layout) {
			link(t, l.State, l.Upper+"/var")
			write(t, l.State+"/nix/db/db.sqlite", header(2), 0o600)
		}, func(s *Sight) bool {
			return s.Var == Place{Kind: setup.Symlink, Target: s.Layout.State} && s.Database.WAL && !s.Database.OnMount && !s.Database.Broken
		}},
		{"journal", func(t *testing.T, l mount.Layout) { write(t, l.Upper+"/var/nix/db/db.sqlite", header(1), 0o600) }, func(s *Sight) bool { return !s.Database.WAL && s.Database.OnMount && !s.Database.Broken }},
		{"no database", func(t *testing.T, l mount.Layout) { write(t, l.Upper+"/var/nix/db/db.sqlite", "x", 0o600) }, func(s *Sight) bool { return s.Database.Broken }},
		{"empty database", func(t *testing.T, l mount.Layout) { write(t, l.Upper+"/var/nix/db/db.sqlite", "", 0o600) }, func(s *Sight) bool { return !s.Database.Broken && !s.Database.WAL }},
		{"a pipe for a database", func(t *testing.T, l mount.Layout) {
			write(t, l.Upper+"/var/nix/db/x", "", 0o600)
			if err := syscall.Mkfifo(l.Upper+"/var/nix/db/db.sqlite", 0o600); err != nil {
				t.Fatal(err)
			}
		}, func(s *Sight) bool { return s.Database != nil }},
		{"removed files", func(t *testing.T, l mount.Layout) {
			write(t, l.Work+"/silly/1-2-3-.nfs4", "", 0o600)
			write(t, l.Work+"/silly/note", "", 0o600)
		}, func(s *Sight) bool { return s.Removed == 1 }},
		{"receipt", func(t *testing.T, l mount.Layout) { write(t, l.State+"/setup.json", "{", 0o600) }, func(s *Sight) bool { return s.BadReceipt != nil }},
		{"hook", func(t *testing.T, l mount.Layout) {
			write(t, filepath.Dir(l.State)+"/.profile", "# >>> nixnfsd >>>\nif [ -x /x ]; then x; fi\n# <<< nixnfsd <<<\n", 0o600)
		}, func(s *Sight) bool { return slices.Equal(s.StaleHooks, []string{s.Setup.Home + "/.profile"}) }},
	}
	for _, tc := range tt {
		t.Run(tc.name, func(t *testing.T) {
			c, e := scene(t)
			tc.make(t, c.Layout)
			s, err := Look(t.Context(), c, e)
			if err != nil {
				t.Fatal(err)
			}
			if !tc.saw(s) {
				t.Errorf("saw %+v", s)
			}
		})
	}
}

// TestLookIsBounded: what hangs is said, and holds up nothing else.
func TestLookIsBounded(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	ctx, cancel := context.WithCancel(t.Context())
	wait := within(ctx, look{"it", func(context.Context) (func(*Sight), error) { <-hang; return nil, nil }})
	cancel()
	if into, err := wait(); into != nil || err == nil || !strings.HasPrefix(err.Error(), "it: no answer") {
		t.Errorf("got %v", err)
	}
}

func TestLookSaysWhatItCouldNotSee(t *testing.T) {
	c, e := scene(t)
	e.Server = func(context.Context) (*Server, error) { return nil, errors.New("garbage") }
	s, err := Look(t.Context(), c, e)
	if err != nil || !slices.Equal(s.Unseen, []string{"the server: garbage"}) {
		t.Errorf("got %q, %v", s.Unseen, err)
	}
	e.Status = func(context.Context) (mount.Status, error) { return mount.Status{}, errors.New("no table") }
	if _, err := Look(t.Context(), c, e); err == nil {
		t.Error("without a mount table nothing can be said")
	}
}

// answers has programs print what those of macOS and systemd do.
func answers(all map[string]string) setup.Runner {
	return func(_ context.Context, args []string) (string, error) {
		for key, text := range all {
			if strings.Contains(strings.Join(args, " "), key) {
				return text, nil
			}
		}
		return "", errors.New("exit status 113")
	}
}

func TestJobs(t *testing.T) {
	tt := []struct {
		name, system string
		answers      map[string]string
		keeper       bool
		want         Job
	}{
		{"running", "linux", map[string]string{"show": "LoadState=loaded\nSubState=running\nUnitFileState=enabled\n"}, false, Job{Loaded: true, Running: true}},
		{"failing", "linux", map[string]string{"show": "LoadState=loaded\nSubState=auto-restart\nUnitFileState=disabled\nNeedDaemonReload=yes\n"}, true, Job{Keeper: true, Loaded: true, Off: true, Stale: true, Failed: true, Reason: "auto-restart"}},
		{"unknown", "linux", map[string]string{"show": "LoadState=not-found\nSubState=dead\n"}, false, Job{Off: true, Reason: "dead"}},
		{"loaded", "darwin", map[string]string{"print-disabled": "{}", "print gui/4711/": "\tstate = running\n\tpid = 7\n"}, false, Job{Loaded: true, Running: true}},
		{"unloaded", "darwin", map[string]string{"print-disabled system": "\t\"" + label(true) + "\" => disabled\n"}, true, Job{Keeper: true, Off: true}},
		{"failing agent", "darwin", map[string]string{"print-disabled": "{}", "print gui/4711/": "\tstate = spawn scheduled\n\truns = 9\n\tlast exit code = 1\n"}, false, Job{Loaded: true, Failed: true, Reason: "spawn scheduled"}},
	}
	for _, tc := range tt {
		c, e := scene(t)
		c.Setup.System, e.Run = tc.system, answers(tc.answers)
		o := onlooker{c, e}
		got, err := o.job(t.Context(), tc.keeper)
		if err != nil || got != tc.want {
			t.Errorf("%s: got %+v, %v, want %+v", tc.name, got, err, tc.want)
		}
	}
}

func TestMac(t *testing.T) {
	c, e := scene(t)
	e.Run = answers(map[string]string{"isexcluded": "[Included]      " + c.Setup.Data + "\n"})
	o := onlooker{c, e}
	look := func() *Sight {
		var s Sight
		into, err := o.mac(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		into(&s)
		return &s
	}
	if s := look(); !slices.Equal(s.Copied, []string{c.Setup.Data}) || s.Indexed != c.Setup.Data {
		t.Errorf("got %q, %q", s.Copied, s.Indexed)
	}
	o.Run = answers(map[string]string{"isexcluded": "[Excluded]      " + c.Setup.Data + "\n"})
	write(t, c.Setup.Data+"/"+setup.NeverIndex, "", 0o644)
	if s := look(); len(s.Copied) > 0 || s.Indexed != "" {
		t.Errorf("got %q, %q", s.Copied, s.Indexed)
	}
}

func TestLimits(t *testing.T) {
	if got := openFiles("Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files     \n"); got != 1024 {
		t.Errorf("proc: got %d", got)
	}
	if got := openFiles("Max open files unlimited unlimited files\n"); got != 0 {
		t.Errorf("no limit: got %d", got)
	}
	for text, want := range map[string]uint64{
		"\tmaxfiles    256            unlimited      \n": math.MaxUint64,
		"\tmaxfiles    256            10240          \n": 10240,
		"what": 0,
	} {
		if got, err := maxFiles(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %d, %v", text, got, err)
		}
	}
}
