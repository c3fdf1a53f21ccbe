package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/mount"
)

func newStopCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Unmount, and stop the server that was set up",
		Long: `Have the keeper unmount it, as "nixnfsd umount" does, and launchd or systemd
stop the server, until "nixnfsd start" or your next login. While the mount is in
use nothing is stopped, and exit code 1 says so.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return stop(cmd.Context(), newActor(cmd), force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also while it is in use: programs in it get errors, and what they have not written yet is lost")
	return cmd
}

func stop(ctx context.Context, a *actor, force bool) error {
	config, err := setUpConfig()
	if err == nil {
		err = byHand(ctx, config, a.run)
	}
	if err != nil {
		return err
	}
	if _, err := config.Active(ctx, a.run); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	if err := unmountFirst(ctx, config, a, force); err != nil {
		return fmt.Errorf("nothing was stopped: %w", err)
	}
	ran, err := config.Stop(ctx, a.run)
	switch {
	case err != nil:
		return fmt.Errorf("stop the server: %w", err)
	case ran:
		a.say("stopped")
	default:
		a.say("it was not running")
	}
	return nil
}

// unmountFirst has the keeper unmount: who touches a mount without a server hangs.
func unmountFirst(ctx context.Context, c *setup.Config, a *actor, force bool) error {
	var keeper keeperOptions
	s, err := keeper.order(ctx, unmountPath, unmountArg{Force: force})
	if exitCode(err) == exitNotRunning {
		return withoutKeeper(c, force)
	}
	if err == nil {
		a.say("unmounted: " + s.MountPoint)
	}
	return err
}

// withoutKeeper is an error where a mount is left that nobody would take away.
func withoutKeeper(c *setup.Config, force bool) error {
	if force {
		return nil
	}
	r, err := setup.ReadReceipt(c.UserReceipt())
	if err != nil {
		return err
	}
	table, err := mount.Table()
	if err != nil {
		return err
	}
	for _, point := range r.Exports {
		if e := mount.Find(table, point); e != nil && e.NFS() {
			return fmt.Errorf("no keeper runs that could unmount %s: run sudo umount %s first, or use --force, and whoever is in it hangs", point, point)
		}
	}
	return nil
}
