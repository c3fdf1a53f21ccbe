package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"
)

func newExecCommand() *cobra.Command {
	var opts waitOptions
	cmd := &cobra.Command{
		Use:   "exec [flags] [--] COMMAND [ARGUMENT]...",
		Short: "Wait for the mount, and run a command with Nix's environment",
		Long: `Wait until the mount is usable, as "nixnfsd wait" does, set the variables that
"nixnfsd env" prints, and become the command. The exit code is the command's; it
is 1 when the mount is not usable in time or the command cannot be run.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("exec needs a command to run"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.wait(cmd.Context()); err != nil {
				return err
			}
			return opts.become(cmd.Context(), args)
		},
	}
	opts.add(cmd)
	cmd.Flags().SetInterspersed(false) // what follows the command is the command's
	return cmd
}

// become has a command take this process's place.
func (a *address) become(ctx context.Context, args []string) error {
	vars, err := a.nixEnv(ctx)
	if err != nil {
		return err
	}
	for _, v := range vars {
		if err := os.Setenv(v.Name, v.Value); err != nil {
			return err
		}
	}
	program, err := exec.LookPath(args[0])
	if err == nil {
		err = syscall.Exec(program, args, os.Environ())
	}
	return fmt.Errorf("run %s: %w", args[0], err)
}
