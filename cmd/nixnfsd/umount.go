package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newUmountCommand() *cobra.Command {
	var opts keeperOptions
	var arg unmountArg
	cmd := &cobra.Command{
		Use:   "umount",
		Short: "Have the keeper unmount it, until you ask to mount",
		Long: `Ask the keeper, which runs as root, to unmount your server's mount, and to leave
it so until "nixnfsd mount". What is in use stays mounted, and exit code 1 says
so. The server goes on running. The keeper takes orders of the mount's owner
and of root.

Exit codes: 0 unmounted; 1 not; 4 no keeper runs.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := opts.order(cmd.Context(), unmountPath, arg)
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "unmounted: %s\n", s.MountPoint)
			}
			return err
		},
	}
	opts.add(cmd.Flags(), asker)
	cmd.Flags().BoolVar(&arg.Force, "force", false, "also while it is in use: programs in it get errors, and what they have not written yet is lost")
	return cmd
}
