package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newLogsCommand() *cobra.Command {
	var follow bool
	lines := 50
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Show the log of the server that was set up",
		Long: `Show the last lines of the log of the server that "nixnfsd setup" has set up: of
its file on macOS, ~/Library/Logs/nixnfsd.log, and of systemd's journal on
Linux. Where the journal is kept in memory only, it may be for root and the
group systemd-journal alone; journalctl says so. What root's keeper says is for
root: in /var/log/nixnfsd-keep.log, and by "journalctl --unit nixnfsd-keep".`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lines < 0 {
				return usage(fmt.Errorf("--lines %d: give a number of lines", lines))
			}
			config, err := setUpConfig()
			if err != nil {
				return err
			}
			args, err := config.LogCommand(lines, follow)
			if err != nil {
				return err
			}
			return newActor(cmd).show(cmd.Context(), args)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on, until interrupted")
	cmd.Flags().IntVarP(&lines, "lines", "n", lines, "how many `LINES` to show")
	return cmd
}
