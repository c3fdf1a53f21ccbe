package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/internal/xdg"
	"github.com/nixnfsd/nixnfsd/mount"
)

type setupOptions struct {
	address
	dirOptions
	offerOptions
	dryRun bool
}

func newSetupCommand() *cobra.Command {
	var opts setupOptions
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Have the server start at login and mounted by itself",
		Long: `Have the server start when you log in, and root's keeper mount it. Every file
that will be written and every command that will be run is shown first, and
asked about once; sudo asks for its password once. What was there before is kept
in receipts, by which "nixnfsd uninstall" takes everything back. Where all is
set up already nothing is done, and after a failure what is missing. Run it as
yourself.

Exit code 3: something is in the way, such as another Nix; nothing was touched.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runSetup(cmd.Context(), &opts, newActor(cmd))
		},
	}
	opts.address.add(cmd.Flags())
	opts.dirOptions.add(cmd.Flags())
	opts.offerOptions.add(cmd.Flags())
	cmd.Flags().BoolVar(&opts.dryRun, "dry-run", false, "show what would be done, and do nothing")
	return cmd
}

func runSetup(ctx context.Context, opts *setupOptions, a *actor) error {
	config, err := opts.config()
	if err == nil {
		config.Layout, err = opts.resolve(opts.export)
	}
	if err == nil {
		err = checkDirs(config.Layout) // what serve would refuse
	}
	if err != nil {
		return err
	}
	seen, err := setup.Look(ctx, config, a.run)
	if err != nil {
		return err
	}
	obstacles := setup.Obstacles(config, seen)
	for _, p := range obstacles {
		a.say("problem: " + p.What + "\n   mend: " + p.Mend)
	}
	if len(obstacles) > 0 && !opts.dryRun {
		return &exitError{code: exitProblems, err: setup.ErrObstacles}
	}
	plan, err := setup.New(config, seen)
	if err != nil && len(obstacles) == 0 {
		return err
	}
	if err := a.carryOut(ctx, config, plan, config.Export, config.Ours(seen), opts.dryRun); err != nil || len(obstacles) == 0 {
		return err
	}
	return &exitError{code: exitProblems}
}

// config is what the flags and the system say is to be set up.
func (o *setupOptions) config() (*setup.Config, error) {
	addr, err := o.parse()
	if err == nil && addr.Port() == 0 {
		err = usage(errors.New("--listen: give the port that the server is to have, which the keeper has to know"))
	}
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program's own file: %w", err)
	}
	p, err := o.places()
	if err != nil {
		return nil, err
	}
	home, err := userHome()
	if err != nil {
		return nil, err
	}
	dirs, err := o.dirFlags()
	if err != nil {
		return nil, err
	}
	offers, err := o.offerOptions.flags(mount.Layout{MountPoint: o.export})
	return &setup.Config{
		System: runtime.GOOS, UID: os.Getuid(), Home: home, Configs: xdg.Of(home, os.Getenv).Config, Data: p.data, State: p.state,
		Program: program, Addr: addr, Export: o.export, Flags: slices.Concat(dirs, offers),
	}, err
}

// dirFlags are the flags of directories as they were given, with absolute paths.
func (o *dirOptions) dirFlags() ([]string, error) {
	type flag struct{ name, path string }
	given := []flag{{"--upper", o.upper}, {"--work", o.work}, {"--state", o.state}}
	for _, lower := range o.lowers {
		given = append(given, flag{"--lower", lower})
	}
	var args []string
	for _, f := range given {
		if f.path == "" {
			continue
		}
		abs, err := filepath.Abs(f.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		args = append(args, f.name, abs)
	}
	return args, nil
}
