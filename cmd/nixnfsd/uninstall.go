package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/setup"
)

func newUninstallCommand() *cobra.Command {
	var opts setupOptions
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take back what setup did, and keep the store",
		Long: `End keeper and server, unmount, and put back what was there before "nixnfsd
setup", by its receipts. What somebody has changed since is left, and said. The
store stays where it is; where, is said at the end. Run it as yourself.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runUninstall(cmd.Context(), &opts, newActor(cmd))
		},
	}
	opts.address = address{listen: defaultListen, export: defaultExport} // receipts say where it was set up
	cmd.Flags().BoolVar(&opts.dryRun, "dry-run", false, "show what would be done, and do nothing")
	return cmd
}

func runUninstall(ctx context.Context, opts *setupOptions, a *actor) error {
	config, err := opts.config()
	if err != nil {
		return err
	}
	if config.UID == 0 {
		return errors.New("this is run by root: run it as the user who ran setup, without sudo")
	}
	seen, err := setup.Look(ctx, config, a.run)
	if err != nil {
		return err
	}
	root, rootErr := setup.ReadReceipt(config.RootReceipt())
	user, userErr := setup.ReadReceipt(config.UserReceipt())
	now := setup.Digests{}
	if err := errors.Join(rootErr, userErr, now.Digest(root), now.Digest(user)); err != nil {
		return err
	}
	plan := setup.Undo(config, seen, root, user, now)
	if err := a.carryOut(ctx, config, plan, "", opts.dryRun); err != nil {
		return err
	}
	p, err := opts.places()
	if err == nil {
		fmt.Fprintf(a.stdout, "The store stays in %s, and what the server knows of it in %s.\n", p.data, p.state)
	}
	return err
}
