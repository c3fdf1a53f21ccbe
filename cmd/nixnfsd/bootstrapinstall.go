package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/nixnfsd/nixnfsd/internal/bootstrap"
	"github.com/nixnfsd/nixnfsd/internal/hook"
	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/internal/xdg"
)

// configure puts var where it is to be, and writes a nix.conf.
func (b *bootstrapping) configure(ctx context.Context, u *bootstrap.Unpacked) error {
	dir, err := b.apart(b.varDir)
	if err != nil {
		return err
	}
	receipt, err := b.receipt()
	if err != nil {
		return err
	}
	apart := false
	var made []string
	if dir != "" {
		made = []string{dir}
	}
	err = setup.NoteStore(receipt, made, func() (err error) {
		apart, err = bootstrap.LinkVar(ctx, b.access.tree, dir)
		return err
	})
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	builds := filepath.Join(cache, "nix", "builds")
	settings := bootstrap.Settings{System: runtime.GOOS, Version: u.Version, VarApart: apart, BuildDir: builds}.Choose()
	return b.writeConfig(ctx, settings, builds)
}

// writeConfig writes a nix.conf where there is none, and has the receipt remember that.
func (b *bootstrapping) writeConfig(ctx context.Context, settings []bootstrap.Setting, builds string) error {
	home, err := userHome()
	if err != nil {
		return err
	}
	file := filepath.Join(xdg.Of(home, os.Getenv).Config, "nix", "nix.conf")
	for _, there := range []string{file, "/etc/nix/nix.conf"} {
		if _, err := os.Lstat(there); err == nil {
			fmt.Fprintf(b.stdout, "nix.conf: %s is there, and is left as it is\n", there)
			return nil
		}
	}
	steps := missingDirs(filepath.Dir(file), 0o755)
	if slices.ContainsFunc(settings, func(s bootstrap.Setting) bool { return s.Value == builds }) {
		steps = append(steps, missingDirs(builds, 0o700)...)
	}
	steps = append(steps, setup.Step{Path: file, Mode: 0o644, Content: []byte(bootstrap.Text(settings))})
	receipt, err := b.receipt()
	if err != nil {
		return err
	}
	order := setup.Order{Receipt: receipt, Steps: steps}
	if err := setup.Apply(ctx, order, b.actor.run, b.say); err != nil {
		return err
	}
	for _, s := range settings {
		fmt.Fprintf(b.stdout, "  %s = %s\n      %s\n", s.Name, s.Value, s.Why)
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

// waitForMount has the store be where Nix looks for it.
func (b *bootstrapping) waitForMount(ctx context.Context) error {
	if !b.access.running {
		return &exitError{exitNotRunning, errors.New("unpacked, and no server runs: start and mount it (\"nixnfsd setup\", or \"nixnfsd serve\" and what that prints), and run this again")}
	}
	w := waitOptions{address: address{listen: b.access.where.Address, export: defaultExport}, timeout: b.timeout}
	checker, err := w.checker()
	if err != nil {
		return err
	}
	if s, err := checker.Check(ctx); err == nil && s.OK() {
		return nil
	}
	fmt.Fprintf(b.stderr, "nixnfsd: waiting until %s is mounted: Nix registers what was unpacked there\n", defaultExport)
	if err := w.wait(ctx); err != nil {
		return fmt.Errorf("unpacked, and not registered yet: %w; run this again then", err)
	}
	return nil
}

// install does what takes the mount.
func (b *bootstrapping) install(ctx context.Context, u *bootstrap.Unpacked) error {
	nix := bootstrap.Nix{Base: u.Nix, Out: b.stderr}
	if err := nix.Register(ctx, u.Registration); err != nil {
		return fmt.Errorf("register what was unpacked: %w", err)
	}
	fmt.Fprintf(b.stdout, "registered: %d store paths\n", u.Paths)
	home, err := userHome()
	if err != nil {
		return err
	}
	if err := b.profile(ctx, nix, u, filepath.Join(home, ".nix-profile")); err != nil {
		return err
	}
	if b.shellHook {
		return b.addHook(home)
	}
	fmt.Fprintln(b.stdout, `Have a shell find Nix by: eval "$(nixnfsd env)", or every shell by --shell-hook.`)
	return nil
}

// profile makes the first one. Where there is one it may be newer than the tarball.
func (b *bootstrapping) profile(ctx context.Context, nix bootstrap.Nix, u *bootstrap.Unpacked, link string) error {
	if _, err := os.Lstat(link); err == nil {
		fmt.Fprintf(b.stdout, "profile: %s is there, and is left as it is\n", link)
		return nil
	}
	bases := []string{u.Nix}
	if u.CACert != "" {
		bases = append(bases, u.CACert)
	}
	receipt, err := b.receipt()
	if err != nil {
		return err
	}
	home := filepath.Dir(link)
	makes := []string{link, filepath.Join(home, ".nix-defexpr"), filepath.Join(xdg.Of(home, os.Getenv).State, "nix")}
	err = setup.NoteMade(receipt, makes, func() error { return nix.Install(ctx, bases...) })
	if err != nil {
		return fmt.Errorf("make the first profile: %w", err)
	}
	fmt.Fprintf(b.stdout, "profile: %s\n", link)
	return nil
}

// addHook puts lines into the start-up files of the user's shells.
func (b *bootstrapping) addHook(home string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	for _, f := range hook.Files(runtime.GOOS, home, xdg.Of(home, os.Getenv).Config) {
		changed, err := hook.Hook{File: f, Command: []string{program}, MountPoint: defaultExport}.Add()
		if err != nil {
			return err
		}
		if changed {
			fmt.Fprintf(b.stdout, "shell hook: in %s\n", f.Path)
		}
	}
	return nil
}
