package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/mount"
)

const statVerb = "stat"

// newStatCommand is the child that other verbs let look at a mount: it can be left
// behind where the mount hangs.
func newStatCommand() *cobra.Command {
	return &cobra.Command{
		Use:    statVerb + " DIR...",
		Short:  "Look at directories, for other verbs",
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE:   func(_ *cobra.Command, args []string) error { return mount.Look(args...) },
	}
}

func statInChild() (mount.StatFunc, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program to run it as a child: %w", err)
	}
	return mount.StatInChild(self, statVerb), nil
}
