package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nixnfsd/nixnfsd/internal/shell"
)

func newCompletionCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "completion {bash|zsh|fish}",
		Short: "Print what has a shell complete verbs and flags",
		Long: `Print what has a shell complete this program's verbs and flags. It is loaded by

  source <(nixnfsd completion bash)       (with the package bash-completion)
  source <(nixnfsd completion zsh)        (behind compinit)
  nixnfsd completion fish | source

in ~/.bashrc, ~/.zshrc and ~/.config/fish/config.fish.`,
		Args:      oneShell,
		ValidArgs: []string{string(shell.Bash), string(shell.Zsh), string(shell.Fish)},
		RunE: func(cmd *cobra.Command, args []string) error {
			w := cmd.OutOrStdout()
			switch shell.Kind(args[0]) {
			case shell.Zsh:
				return root.GenZshCompletion(w)
			case shell.Fish:
				return root.GenFishCompletion(w, true)
			}
			return root.GenBashCompletionV2(w, true)
		},
	}
}

func oneShell(_ *cobra.Command, args []string) error {
	var kind shellFlag
	if len(args) != 1 || kind.Set(args[0]) != nil {
		return usage(errors.New("completion takes the name of one shell: zsh, bash or fish"))
	}
	return nil
}

// addCompletions has shells complete what cmd and its verbs take: values of flags by what kind they
// are, and no operands where there are none.
func addCompletions(cmd *cobra.Command) {
	if !strings.Contains(cmd.Use, " ") {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	complete := func(f *pflag.Flag) {
		if f.Value.Type() != "bool" {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, completionOf(f)) // fails without such a flag
		}
	}
	cmd.Flags().VisitAll(complete)
	cmd.PersistentFlags().VisitAll(complete)
	for _, verb := range cmd.Commands() {
		addCompletions(verb)
	}
}

// plainUsages takes the quotes out of what is said of flags: help finds the names of values by them, and
// shells show them.
func plainUsages(cmd *cobra.Command) {
	plain := func(f *pflag.Flag) { _, f.Usage = pflag.UnquoteUsage(f) }
	cmd.Flags().VisitAll(plain)
	cmd.PersistentFlags().VisitAll(plain)
	for _, verb := range cmd.Commands() {
		plainUsages(verb)
	}
}

func completionOf(f *pflag.Flag) cobra.CompletionFunc {
	switch name, _ := pflag.UnquoteUsage(f); {
	case name == "DIR":
		return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	case f.Name == "shell":
		return oneOf("zsh", "bash", "fish")
	case f.Name == "log-level":
		return oneOf("error", "warn", "info", "debug", "trace")
	case f.Name == "log-format":
		return oneOf("text", "json")
	case name == "FILE":
		return nil // files
	}
	return cobra.NoFileCompletions
}

func oneOf(values ...cobra.Completion) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder)
}
