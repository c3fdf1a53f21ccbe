package bootstrap

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/nixnfsd/nixnfsd/internal/hook"
	"github.com/nixnfsd/nixnfsd/internal/nfstree"
	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/internal/xdg"
)

// Owner is the user whose Nix it becomes, with what he needs outside of the store: a nix.conf, a profile
// and lines in his shells' start-up files. What is there already is left as it is.
type Owner struct {
	System  string // GOOS
	Home    string
	Dirs    xdg.Dirs
	Cache   string            // his cache directory
	Receipt string            // the file that tells "nixnfsd uninstall" what was made
	Say     func(what string) // is told what was made, and what was left
}

// Configure has the tree's var be in a directory, as LinkVar does, and writes a nix.conf for Nix of a version.
func (o *Owner) Configure(ctx context.Context, tree *nfstree.Tree, version, varDir string) error {
	apart := false
	var made []string
	if varDir != "" {
		made = []string{varDir}
	}
	err := setup.NoteStore(o.Receipt, made, func() (err error) {
		apart, err = LinkVar(ctx, tree, varDir)
		return err
	})
	if err != nil {
		return err
	}
	builds := filepath.Join(o.Cache, "nix", "builds")
	return o.writeConfig(ctx, Settings{System: o.System, Version: version, VarApart: apart, BuildDir: builds})
}

// writeConfig writes a nix.conf, and makes the directory that it has builds in.
func (o *Owner) writeConfig(ctx context.Context, choice Settings) error {
	file := filepath.Join(o.Dirs.Config, "nix", "nix.conf")
	for _, there := range []string{file, "/etc/nix/nix.conf"} {
		if exists(there) {
			o.Say("nix.conf: " + there + " is there, and is left as it is")
			return nil
		}
	}
	settings := choice.Choose()
	steps := missingDirs(filepath.Dir(file), 0o755)
	if slices.ContainsFunc(settings, func(s Setting) bool { return s.Value == choice.BuildDir }) {
		steps = append(steps, missingDirs(choice.BuildDir, 0o700)...)
	}
	steps = append(steps, setup.Step{Path: file, Mode: 0o644, Content: []byte(Text(settings))})
	if err := setup.Apply(ctx, setup.Order{Receipt: o.Receipt, Steps: steps}, nil, o.Say); err != nil {
		return err
	}
	for _, s := range settings {
		o.Say(fmt.Sprintf("  %s = %s\n      %s", s.Name, s.Value, s.Why))
	}
	return nil
}

// missingDirs are the steps that make a directory and those above it.
func missingDirs(dir string, mode fs.FileMode) []setup.Step {
	if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
		return nil
	}
	return append(missingDirs(filepath.Dir(dir), mode), setup.Step{Path: dir, Mode: fs.ModeDir | mode})
}

// Install has Nix register what was unpacked, and make the first profile. It takes the mount.
func (o *Owner) Install(ctx context.Context, nix Nix, u *Unpacked) error {
	if err := nix.Register(ctx, u.Registration); err != nil {
		return fmt.Errorf("register what was unpacked: %w", err)
	}
	o.Say(fmt.Sprintf("registered: %d store paths", u.Paths))
	link := filepath.Join(o.Home, ".nix-profile")
	if exists(link) { // it may be newer than the tarball
		o.Say("profile: " + link + " is there, and is left as it is")
		return nil
	}
	bases := []string{u.Nix}
	if u.CACert != "" {
		bases = append(bases, u.CACert)
	}
	makes := []string{link, filepath.Join(o.Home, ".nix-defexpr"), filepath.Join(o.Dirs.State, "nix")}
	err := setup.NoteMade(o.Receipt, makes, func() error { return nix.Install(ctx, bases...) })
	if err != nil {
		return fmt.Errorf("make the first profile: %w", err)
	}
	o.Say("profile: " + link)
	return nil
}

// AddHooks has the user's shells find Nix, by lines that run a program whose store is mounted at a point.
func (o *Owner) AddHooks(program, mountPoint string) error {
	for _, f := range hook.Files(o.System, o.Home, o.Dirs.Config) {
		changed, err := hook.Hook{File: f, Command: []string{program}, MountPoint: mountPoint}.Add()
		if err != nil {
			return err
		}
		if changed {
			o.Say("shell hook: in " + f.Path)
		}
	}
	return nil
}

// exists reports whether there is anything at a path, a link that leads nowhere too.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
