package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newWaitCommand() *cobra.Command {
	var opts struct {
		address
		timeout time.Duration
	}
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Block until the mount is usable",
		Long: `Block until the server answers, its export is mounted and the mount can be used.
When that takes longer than the timeout, say what is still wrong and exit with
code 1.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.timeout < 0 {
				return usage(fmt.Errorf("--timeout %s: give a time from now on, such as 30s, or 0 to wait for ever", opts.timeout))
			}
			checker, err := opts.checker()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if opts.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, opts.timeout, fmt.Errorf("not usable after %s", opts.timeout))
				defer cancel()
			}
			return checker.Wait(ctx)
		},
	}
	opts.add(cmd.Flags())
	cmd.Flags().DurationVar(&opts.timeout, "timeout", time.Minute, "how `LONG` to wait, such as 30s; 0 is for ever")
	return cmd
}
