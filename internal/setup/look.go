package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/hook"
	"github.com/nixnfsd/nixnfsd/launchd"
	"github.com/nixnfsd/nixnfsd/launchd/systemd"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
)

// Runner runs a program, named by its whole path, and gives what it printed.
type Runner func(ctx context.Context, args []string) (string, error)

// Look looks at the machine. A job that cannot be asked after does not run.
func Look(ctx context.Context, c *Config, run Runner) (*Seen, error) {
	s := &Seen{Files: map[string][]byte{}, Dirs: map[string]bool{}, Full: map[string]bool{}, Noted: map[string]bool{}, Runs: map[string]bool{}}
	err := s.lookAtPoint(c.Export)
	if err == nil {
		s.InMount, err = mount.Layout{MountPoint: c.Export}.Mounted(c.Program)
	}
	if err == nil {
		err = s.lookAtFiles(c)
	}
	if err == nil {
		err = s.lookAtReceipts(c)
	}
	s.lookAtStore(c)
	s.lookAtHooks(c)
	if err != nil {
		return nil, fmt.Errorf("look at the machine: %w", err)
	}
	fstab, _ := os.ReadFile("/etc/fstab") // many have none
	s.Fstab = string(fstab)
	if c.System == "darwin" {
		return s, s.lookAtMac(ctx, c, run)
	}
	s.lookAtLinux(ctx, run)
	return s, nil
}

// lookAtPoint does not touch what is mounted.
func (s *Seen) lookAtPoint(dir string) error {
	table, err := mount.Table()
	if err != nil {
		return err
	}
	if s.Point.Mount = mount.Find(table, dir); s.Point.Mount != nil {
		return nil
	}
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		s.Point.Kind = Symlink
		s.Point.Target, err = os.Readlink(dir)
	case info.IsDir():
		s.Point.Kind = Directory
		s.Point.Names, err = firstNames(dir)
	default:
		s.Point.Kind = Other
	}
	return err
}

// firstNames gives some names of a directory, enough to say what it is.
func firstNames(dir string) ([]string, error) {
	const enough = 4
	d, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(enough)
	if err == io.EOF {
		err = nil
	}
	return names, err
}

// lookAtFiles reads what setup would write.
func (s *Seen) lookAtFiles(c *Config) error {
	p := c.places()
	files := []string{p.keeper, p.server}
	if c.System == "darwin" {
		files = append(files, synthetic.Conf, path.Join(synthetic.Dir, manifest), path.Join(c.Data, NeverIndex))
	}
	for _, file := range files {
		text, err := readFile(file)
		if err == nil {
			s.Files[file] = text
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	same, err := sameFile(p.helper, c.Program)
	if same {
		s.Files[p.helper] = nil
	}
	for _, file := range []string{p.helper, p.keeper, p.receipt, c.Export} {
		s.lookAbove(file, true)
	}
	for _, file := range files {
		s.lookAbove(file, false)
	}
	return err
}

// readFile is os.ReadFile, but for what it would wait at, such as a pipe.
func readFile(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", file)
	}
	return io.ReadAll(f)
}

// lookAtReceipts reads which changes are known.
func (s *Seen) lookAtReceipts(c *Config) error {
	for _, file := range []string{c.RootReceipt(), c.UserReceipt()} {
		r, err := ReadReceipt(file)
		if err != nil {
			return err
		}
		if r.left(file) {
			s.Left = append(s.Left, Left{Root: file == c.RootReceipt(), Receipt: file})
		}
		for _, change := range r.Changes {
			s.Noted[change.Path] = true
		}
		for _, dir := range r.Store {
			s.Noted[dir] = true
		}
	}
	return nil
}

// lookAtHooks passes over start-up files that cannot be read, or are not to be: no lines of ours are there.
func (s *Seen) lookAtHooks(c *Config) {
	for _, f := range hook.Files(c.System, c.Home, c.Configs) {
		state, err := hook.Hook{File: f, MountPoint: c.Export}.State()
		if err == nil && state != hook.Absent {
			s.Hooks = append(s.Hooks, f)
		}
	}
}

// lookAtStore looks at the server's directories. One that cannot be read is not taken for empty.
func (s *Seen) lookAtStore(c *Config) {
	for _, dir := range c.storeDirs() {
		if dir == "" {
			continue
		}
		names, err := firstNames(dir)
		s.Full[dir] = len(names) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist)
		s.Dirs[dir] = err == nil
		s.lookAbove(dir, false)
	}
}

// lookAbove says which of the directories above a path are there, and which of them
// others than root may change, where that is asked.
func (s *Seen) lookAbove(file string, roots bool) {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		s.Dirs[dir] = err == nil && info.IsDir()
		if roots && s.Dirs[dir] && loose(info) && !slices.Contains(s.Loose, dir) {
			s.Loose = append(s.Loose, dir)
			if info.Mode()&fs.ModeSticky != 0 {
				s.Sticky = append(s.Sticky, dir)
			}
		}
		if dir == filepath.Dir(dir) {
			return
		}
	}
}

// loose reports whether others than root may change a directory.
func loose(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Uid != 0 || info.Mode().Perm()&0o022 != 0
}

// sameFile reports whether two files hold the same. One that is not there does not.
func sameFile(a, b string) (bool, error) {
	one, err := digest(a)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	other, err := digest(b)
	return one == other, err
}

// otherNix are what the installers of Nix for macOS leave, and nixie, which keeps
// a store in the user's library.
func otherNix(home string) []string {
	daemons := []string{"org.nixos.darwin-store", "org.nixos.nix-daemon", "systems.determinate.nix-store", "systems.determinate.nix-daemon", "systems.determinate.nix-installer.nix-hook"}
	var paths []string
	for _, label := range daemons {
		paths = append(paths, path.Join(launchd.DaemonDir, label+".plist"))
	}
	return append(paths, path.Join(home, "Library/Nix"))
}

func (s *Seen) lookAtMac(ctx context.Context, c *Config, run Runner) error {
	version, err := run(ctx, []string{"/usr/bin/sw_vers", "-productVersion"})
	if err == nil {
		s.Release, err = synthetic.ParseRelease(version)
	}
	if err == nil {
		s.Manifests, err = synthetic.Look("/")
	}
	for _, p := range otherNix(c.Home) {
		if _, err := os.Lstat(p); err == nil {
			s.Others = append(s.Others, p)
		}
	}
	s.ask(ctx, run, launchd.KeeperLabel, launchd.System.Print(launchd.KeeperLabel), loadedJob)
	s.ask(ctx, run, launchd.ServerLabel, launchd.GUI(c.UID).Print(launchd.ServerLabel), loadedJob)
	return err
}

func (s *Seen) lookAtLinux(ctx context.Context, run Runner) {
	_, err := os.Stat("/run/systemd/system") // sd_booted(3)
	s.NoSystemd = err != nil
	_, err = os.Stat("/sbin/mount.nfs")
	s.NoHelper = err != nil
	dirs, err := run(ctx, systemd.User().UnitPath())
	if s.UnitPath = systemd.ParseUnitPath(dirs); err != nil {
		s.NoManager = err.Error()
	}
	s.ask(ctx, run, systemd.KeeperUnit, systemd.System().Show(systemd.KeeperUnit), startedUnit)
	s.ask(ctx, run, systemd.ServerUnit, systemd.User().Show(systemd.ServerUnit), startedUnit)
}

// ask has run say of a job whether it runs.
func (s *Seen) ask(ctx context.Context, run Runner, name string, args []string, runs func(text string) bool) {
	text, err := run(ctx, args)
	s.Runs[name] = err == nil && runs(strings.TrimSpace(text)+"\n")
}

// loadedJob: launchd starts a job that is loaded by itself.
func loadedJob(text string) bool {
	_, err := launchd.ParsePrint(text)
	return err == nil
}

// startedUnit: one that fails at each start is worth another one.
func startedUnit(text string) bool {
	state, err := systemd.ParseShow(text)
	return err == nil && state.Loaded && state.Enabled && state.Running && !state.Stale
}
