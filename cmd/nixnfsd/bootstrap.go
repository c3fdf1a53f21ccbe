package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/bootstrap"
	"github.com/nixnfsd/nixnfsd/internal/hook"
	"github.com/nixnfsd/nixnfsd/internal/progress"
	"github.com/nixnfsd/nixnfsd/internal/setup"
)

type bootstrapOptions struct {
	dirOptions
	tarball   string
	sha256    string
	varDir    string
	timeout   time.Duration
	shellHook bool
}

func newBootstrapCommand() *cobra.Command {
	opts := bootstrapOptions{timeout: time.Minute}
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Get Nix into the store, from its binary tarball",
		Long: `Unpack Nix's own binary tarball (nix-VERSION-SYSTEM.tar.xz) into the store,
mounted or not, and without root. Then wait for the mount, and have that Nix
register what was unpacked and make the first profile. A nix.conf is written
where there is none; each of its lines is said with its reason.

Nothing comes into the store before the whole tarball was checked. When it was
interrupted, run it again: it goes on where it ended.

Exit codes: 0 done; 1 not, or not all; 4 unpacked, and the rest takes a server
that runs and is mounted: run it again then.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := &bootstrapping{bootstrapOptions: opts, actor: newActor(cmd)}
			return b.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.tarball, "tarball", "", "the `FILE` or https URL of the tarball")
	flags.StringVar(&opts.sha256, "sha256", "", "the SHA-256 that it has to have, in `HEX`")
	addVarFlag(flags, &opts.varDir)
	flags.BoolVar(&opts.shellHook, "shell-hook", false, "have your shells find Nix, by lines in their start-up files")
	flags.Var((*patience)(&opts.timeout), "timeout", "how `LONG` to wait for the mount; 0 is for ever")
	opts.dirOptions.add(flags)
	flags.SortFlags = false
	return cmd
}

// bootstrapping is one run of the verb.
type bootstrapping struct {
	bootstrapOptions
	*actor
	access *storeAccess
}

func (b *bootstrapping) run(ctx context.Context) error {
	source, err := b.source()
	if err != nil {
		return err
	}
	if b.access, err = b.reach(ctx, b.stderr); err != nil {
		return err
	}
	defer b.access.close()
	if b.access.where.Export != defaultExport {
		return fmt.Errorf("the server exports %s: Nix has to be in %s", b.access.where.Export, defaultExport)
	}
	unpacked, err := b.unpack(ctx, source)
	if err == nil {
		err = b.configure(ctx, unpacked)
	}
	if err = errors.Join(err, b.access.close()); err != nil {
		return err
	}
	if err := b.waitForMount(ctx); err != nil {
		return err
	}
	return b.install(ctx, unpacked)
}

func (b *bootstrapping) source() (bootstrap.Source, error) {
	if b.tarball == "" {
		return bootstrap.Source{}, usage(errors.New("--tarball: give the file or the URL of Nix's binary tarball"))
	}
	source, err := bootstrap.ParseSource(b.tarball)
	if err != nil {
		return source, usage(fmt.Errorf("--tarball: %w", err))
	}
	const hexDigits = 64
	b.sha256 = strings.ToLower(b.sha256)
	if b.sha256 != "" && (len(b.sha256) != hexDigits || strings.Trim(b.sha256, "0123456789abcdef") != "") {
		return source, usage(fmt.Errorf("--sha256 %q: give %d hexadecimal digits", b.sha256, hexDigits))
	}
	return source, nil
}

// unpack gets the tarball, checks its sum and unpacks it.
func (b *bootstrapping) unpack(ctx context.Context, source bootstrap.Source) (*bootstrap.Unpacked, error) {
	f, size, err := b.open(ctx, source)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := b.verify(ctx, f, source); err != nil {
		return nil, err
	}
	bar := progress.New(b.stderr, "unpack", size)
	tarball := bar.Reader(f)
	if b.sha256 != "" {
		tarball = bootstrap.Held(tarball, b.sha256)
	}
	u, err := bootstrap.Unpack(ctx, b.access.tree, tarball, nixSystem(), bar.File)
	bar.Done()
	if errors.Is(err, context.Canceled) {
		return nil, errors.New("ended before everything was unpacked, and nothing came into the store: run it again, and it goes on")
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return nil, fmt.Errorf("%w: make room on the disk of the store, and run this again", err)
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(b.stdout, "unpacked: Nix %s, %d store paths, of which %d were there\n", u.Version, u.Paths, u.There)
	return u, nil
}

// open downloads a tarball that is not here.
func (b *bootstrapping) open(ctx context.Context, source bootstrap.Source) (*os.File, int64, error) {
	var bar *progress.Bar
	f, size, err := source.Open(ctx, b.access.state, func(size int64, r io.Reader) io.Reader {
		bar = progress.New(b.stderr, "download", max(size, 0))
		return bar.Reader(r)
	})
	if bar != nil {
		bar.Done()
	}
	return f, size, err
}

// verify compares the sum, or asks where nobody said which one it has to be and the
// tarball came from elsewhere.
func (b *bootstrapping) verify(ctx context.Context, f io.ReadSeeker, source bootstrap.Source) error {
	if b.sha256 == "" && !source.Remote() {
		return nil
	}
	sum, err := bootstrap.Sum(f)
	switch {
	case err != nil:
		return err
	case sum == b.sha256:
		return nil
	case b.sha256 != "":
		return fmt.Errorf("the tarball's SHA-256 is %s, and not the one that was given: it is another file, or damaged", sum)
	}
	fmt.Fprintf(b.stdout, "No --sha256 says whether this is the tarball that is meant. Its SHA-256 is\n  %s\n", sum)
	if !b.agreed(ctx, "Go on?") {
		return errors.New("nothing was unpacked")
	}
	return nil
}

// nixSystem is what Nix calls this machine.
func nixSystem() string {
	arch := runtime.GOARCH
	switch arch {
	case "amd64":
		arch = "x86_64"
	case "arm64":
		arch = "aarch64"
	}
	return arch + "-" + runtime.GOOS
}

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
	err = setup.NoteStore(receipt, dir, func() (err error) {
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
	configs := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(configs) {
		home, err := userHome()
		if err != nil {
			return err
		}
		configs = filepath.Join(home, ".config")
	}
	file := filepath.Join(configs, "nix", "nix.conf")
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
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		state = filepath.Join(home, ".local", "state")
	}
	makes := []string{link, filepath.Join(home, ".nix-defexpr"), filepath.Join(state, "nix")}
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
	for _, f := range hook.Files(runtime.GOOS, home, os.Getenv) {
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
