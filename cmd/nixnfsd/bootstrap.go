package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/bootstrap"
	"github.com/nixnfsd/nixnfsd/internal/progress"
	"github.com/nixnfsd/nixnfsd/internal/units"
	"github.com/nixnfsd/nixnfsd/internal/xdg"
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
	varDir, err := b.apart(b.varDir)
	if err != nil {
		return err
	}
	owner, err := b.owner()
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
		err = owner.Configure(ctx, b.access.tree, unpacked.Version, varDir)
	}
	if err = errors.Join(err, b.access.close()); err != nil {
		return err
	}
	if err := b.waitForMount(ctx); err != nil {
		return err
	}
	if err := owner.Install(ctx, bootstrap.Nix{Base: unpacked.Nix, Out: b.stderr}, unpacked); err != nil {
		return err
	}
	return b.hook(owner)
}

// owner is who runs this.
func (b *bootstrapping) owner() (*bootstrap.Owner, error) {
	receipt, err := b.receipt()
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	home, err := userHome()
	return &bootstrap.Owner{System: runtime.GOOS, Home: home, Dirs: xdg.Of(home, os.Getenv), Cache: cache, Receipt: receipt, Say: b.say}, err
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
	if err != nil {
		return nil, goesOn(err, "ended before everything was unpacked, and nothing came into the store")
	}
	fmt.Fprintf(b.stdout, "unpacked: Nix %s, %s, of which %d were there\n", u.Version, units.Things(uint64(u.Paths), "store path"), u.There)
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

// hook has the user's shells find Nix, or says how they would.
func (b *bootstrapping) hook(owner *bootstrap.Owner) error {
	if !b.shellHook {
		b.say(`Have a shell find Nix by: eval "$(nixnfsd env)", or every shell by --shell-hook.`)
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return owner.AddHooks(program, defaultExport)
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
