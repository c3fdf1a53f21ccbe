package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// asker says who gives a keeper orders.
const asker = "the `USER`, by name or uid, whose mount it is (default: who runs this)"

func newMountCommand() *cobra.Command {
	var opts keeperOptions
	cmd := &cobra.Command{
		Use:   "mount",
		Short: "Have the keeper mount your server",
		Long: `Ask the keeper, which runs as root, to mount your server now, and to keep it
mounted from now on. It takes orders of the mount's owner and of root.

Exit codes: 0 mounted; 1 not; 4 no keeper runs.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := opts.order(cmd.Context(), mountPath, nil)
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "mounted: %s from %s\n", s.MountPoint, s.Address)
			}
			return err
		},
	}
	opts.add(cmd.Flags(), asker)
	return cmd
}
