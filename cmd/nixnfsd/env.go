package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/nixenv"
	"github.com/nixnfsd/nixnfsd/internal/shell"
)

func newEnvCommand() *cobra.Command {
	var opts address
	kind := shellFlag(ownShell())
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print the environment that Nix needs, for a shell to take",
		Long: `Print the variables that Nix's own profile script sets, as commands of a shell:
PATH, NIX_PROFILES, NIX_SSL_CERT_FILE, XDG_DATA_DIRS, and MANPATH where there is
one. They are the same whether the store is mounted or not; a mount that may
hang is not touched. A shell takes them by

  eval "$(nixnfsd env --shell zsh)"       (zsh, bash and other POSIX shells)
  nixnfsd env --shell fish | source       (fish)`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			vars, err := opts.nixEnv(cmd.Context())
			if err != nil {
				return err
			}
			for _, v := range vars {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), shell.Kind(kind).Export(v.Name, v.Value)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().Var(&kind, "shell", "the `SHELL` that is to take it: zsh, bash or fish (default: yours)")
	cmd.Flags().Lookup("shell").DefValue = "" // it is the user's own
	opts.add(cmd.Flags())
	return cmd
}

// nixEnv is what the environment needs of variables.
func (a *address) nixEnv(ctx context.Context) ([]nixenv.Var, error) {
	checker, err := a.checker()
	if err != nil {
		return nil, err
	}
	home, err := userHome()
	if err != nil {
		return nil, err
	}
	usable := func() bool {
		s, err := checker.Check(ctx)
		return err == nil && s.OK()
	}
	return nixenv.User{Home: home, Getenv: os.Getenv, MountPoint: a.export, Usable: usable}.Vars(), nil
}

// shellFlag is a shell that is given with a flag.
type shellFlag shell.Kind

// Set takes the flag's value.
func (f *shellFlag) Set(s string) error {
	if !slices.Contains([]shell.Kind{shell.Zsh, shell.Bash, shell.Fish}, shell.Kind(s)) {
		return errors.New("give zsh, bash or fish")
	}
	*f = shellFlag(s)
	return nil
}

// String is the flag's value.
func (f *shellFlag) String() string { return string(*f) }

// Type is what help calls a value where the flag's own text does not say.
func (f *shellFlag) Type() string { return "SHELL" }

// ownShell is the user's, as far as it is one of ours.
func ownShell() shell.Kind {
	switch kind := shell.Kind(filepath.Base(os.Getenv("SHELL"))); kind {
	case shell.Zsh, shell.Fish:
		return kind
	}
	return shell.Bash
}
