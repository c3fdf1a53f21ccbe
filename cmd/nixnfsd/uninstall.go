package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/setup"
)

type uninstallOptions struct {
	setupOptions
	keepStore, deleteStore bool
}

func newUninstallCommand() *cobra.Command {
	var opts uninstallOptions
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take back what setup did, and delete the store if you say so",
		Long: `Unmount, end keeper and server, take nixnfsd's lines out of the shells' start-up
files, and put back what was there before "nixnfsd setup", by its receipts.
While the mount is in use nothing is taken back. What somebody has changed
since is left, and said. Whether the store goes too is asked by itself, with
its place and size; what is in it cannot be brought back.
Only directories go that were empty when they were set up, and no link is
followed out of them. Run it as yourself, and again where it ended early.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runUninstall(cmd.Context(), &opts, newActor(cmd))
		},
	}
	opts.address = address{listen: defaultListen, export: defaultExport} // receipts say where it was set up
	flags := cmd.Flags()
	flags.BoolVar(&opts.keepStore, "keep-store", false, "keep the store, without asking")
	flags.BoolVar(&opts.deleteStore, "delete-store", false, "delete the store, without asking about it")
	flags.BoolVar(&opts.dryRun, "dry-run", false, "show what would be done, and do nothing")
	return cmd
}

func runUninstall(ctx context.Context, opts *uninstallOptions, a *actor) error {
	config, err := opts.config()
	switch {
	case err != nil:
		return err
	case opts.keepStore && opts.deleteStore:
		return usage(errors.New("give --keep-store or --delete-store, not both"))
	case config.UID == 0:
		return errors.New("this is run by root: run it as the user who ran setup, without sudo")
	}
	seen, err := setup.Look(ctx, config, a.run)
	if err != nil {
		return err
	}
	for _, p := range setup.Obstacles(config, seen) {
		if p.Name == setup.KeeperOfAnotherUser {
			return fmt.Errorf("nothing was touched: %s: %s", p.What, p.Mend)
		}
	}
	root, rootErr := setup.ReadReceipt(config.RootReceipt())
	user, userErr := setup.ReadReceipt(config.UserReceipt())
	now := setup.Digests{}
	if err := errors.Join(rootErr, userErr, now.Digest(root), now.Digest(user)); err != nil {
		return err
	}
	store, err := user.StoreDirs(ctx, config.UserReceipt())
	if err != nil {
		return err
	}
	goes := store
	if keep, err := a.keepsStore(ctx, opts, store, config.State); err != nil {
		return err
	} else if keep {
		goes = nil
	}
	plan := setup.Undo(config, seen, root, user, now, goes)
	if err := a.carryOut(ctx, config, plan, "", nil, opts.dryRun); err != nil {
		return err
	}
	if len(goes) == 0 {
		a.sayStore(store)
	}
	return nil
}

// keepsStore asks whether the store stays, where there is one and no flag says so.
func (a *actor) keepsStore(ctx context.Context, opts *uninstallOptions, store []setup.StoreDir, state string) (bool, error) {
	holds := func(d setup.StoreDir) bool { return d.Files > 0 && d.Path != filepath.Clean(state) }
	if opts.keepStore || opts.deleteStore || !slices.ContainsFunc(store, holds) {
		return opts.keepStore, nil
	}
	a.sayStore(store)
	switch {
	case opts.dryRun:
		fmt.Fprintln(a.stdout, "Whether it goes too would be asked; this is with it deleted.")
		return false, nil
	case !a.terminal:
		return false, usage(errors.New("whether the store goes too cannot be asked, for standard input is no terminal: give --keep-store or --delete-store"))
	}
	goes := a.agreed(ctx, "Delete it too? Nothing brings it back.")
	if ctx.Err() != nil {
		return true, errRefused
	}
	return !goes, nil
}

// sayStore says where the store is.
func (a *actor) sayStore(store []setup.StoreDir) {
	for i, d := range store {
		if i == 0 {
			fmt.Fprintln(a.stdout, "The store, and what the server knows of it:")
		}
		fmt.Fprintf(a.stdout, "  %s: %s\n", d.Path, d)
	}
}
