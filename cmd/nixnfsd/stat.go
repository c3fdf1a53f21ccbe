package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/mount"
)

const statVerb = "stat"

// newStatCommand is the child that check and wait let look at a mount: it can
// be left behind where the mount hangs.
func newStatCommand() *cobra.Command {
	return &cobra.Command{
		Use:    statVerb + " DIR",
		Short:  "Look at a directory, for check and wait",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			info, err := os.Stat(args[0])
			if err == nil && !info.IsDir() {
				err = fmt.Errorf("%s is no directory", args[0])
			}
			return err
		},
	}
}

func statInChild() (func(ctx context.Context, dir string) error, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program to run it as a child: %w", err)
	}
	return mount.StatInChild(self, statVerb), nil
}
