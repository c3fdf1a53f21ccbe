// Command nixnfsd serves a directory of the user's over NFSv3 on loopback, so
// that the kernel mounts it as a real, writable /nix.
//
// Each verb has its own file, which holds its flags and its wiring; what a verb
// decides is decided in the packages. Results go to standard output, everything
// else to standard error with the prefix "nixnfsd:".
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/terminal"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs the command line and gives the exit code. The signals that ask for
// an end only end the context. A second interrupt ends the process; SIGTERM does
// not, since timeout(1) and others send it twice at once. It is taken until the process is gone: to
// stop that, or even to ignore it from then on, leaves the runtime a moment in which it kills.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, _ := signal.NotifyContext(context.Background(), endSignals()...)
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) })
	root := newCommand()
	if len(args) > 0 && args[0] == cobra.ShellCompRequestCmd {
		plainUsages(root)
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if message := errorMessage(err, helpFor(cmd)); message != "" {
		fmt.Fprintf(stderr, "nixnfsd: %s\n", terminal.PlainText(message))
	}
	return exitCode(err)
}

// endSignals are the signals that ask for an end. Those that whoever started the
// program has it ignore, as nohup(1) does, stay ignored.
func endSignals() []os.Signal {
	ignorable := slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGHUP}, signal.Ignored)
	return append(ignorable, syscall.SIGTERM)
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "nixnfsd",
		Short: "Serve a directory of yours as a real, writable /nix",
		Long: `nixnfsd serves a directory of yours over NFSv3 on the loopback address. The
kernel's own NFS client mounts it at /nix: a real, writable /nix without a
volume of its own and without a root daemon that owns the store.

Exit codes:
  0  all is well
  1  failure
  2  the command line is wrong
  3  check, fsck or layers found problems, or something is in setup's way
  4  there is no server for check, status, layers, restart or bootstrap, or no
     keeper for mount, umount or start`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage(errors.New("no verb is given"))
		},
	}
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.SetHelpCommand(newHelpCommand(root))
	addVerbs(root)
	addCompletions(root)
	return root
}

// usageTemplate is cobra's, at 80 columns, with verbs called by that name; the program does nothing
// without one.
func usageTemplate(of string) string {
	return strings.NewReplacer(
		".FlagUsages", ".FlagUsagesWrapped 80",
		"{{if .Runnable}}", "{{if and .Runnable .HasParent}}",
		"[command]", "VERB",
		"Available Commands:", "Verbs:",
		"a command", "a verb",
	).Replace(of)
}

// addVerbs adds the verbs in the groups in which help shows them.
func addVerbs(root *cobra.Command) {
	for _, group := range []struct {
		title string
		verbs []*cobra.Command
	}{
		{"Set up:", []*cobra.Command{newSetupCommand(), newBootstrapCommand(), newImportCommand(), newUninstallCommand()}},
		{"Day to day:", []*cobra.Command{
			newStartCommand(), newStopCommand(), newRestartCommand(), newMountCommand(), newUmountCommand(),
			newWaitCommand(), newEnvCommand(), newExecCommand(),
		}},
		{"Look:", []*cobra.Command{newStatusCommand(), newLayersCommand(), newDuCommand(), newLogsCommand()}},
		{"Repair:", []*cobra.Command{newCheckCommand(), newFsckCommand()}},
		{"What runs, once it is set up:", []*cobra.Command{newServeCommand(), newKeepCommand()}},
		{"This program:", []*cobra.Command{newVersionCommand(), newCompletionCommand(root)}},
	} {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, verb := range group.verbs {
			verb.GroupID = group.title
			verb.Flags().SortFlags = false // help has them in the order of their use
			root.AddCommand(verb)
		}
	}
	root.SetHelpCommandGroupID("This program:")
	root.AddCommand(newApplyCommand(), newStatCommand(), newManCommand(root)) // no one's but the program's
}

// newHelpCommand is cobra's, but for a verb that is not there.
func newHelpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]...",
		Short: "Say what a verb does",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return verbsOf(root, args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usage(fmt.Errorf("there is no verb %q", strings.Join(args, " ")))
			}
			return cmd.Help()
		},
	}
}

// verbsOf are the verbs behind those that are given.
func verbsOf(root *cobra.Command, given []string) []cobra.Completion {
	cmd, rest, err := root.Find(given)
	if err != nil || len(rest) > 0 {
		return nil
	}
	var verbs []cobra.Completion
	for _, verb := range cmd.Commands() {
		if verb.IsAvailableCommand() {
			verbs = append(verbs, cobra.CompletionWithDesc(verb.Name(), verb.Short))
		}
	}
	return verbs
}

// helpFor is the command line that explains those of cmd. Help's own knows no verbs.
func helpFor(cmd *cobra.Command) string {
	if cmd.Name() == "help" {
		cmd = cmd.Parent()
	}
	return cmd.CommandPath() + " --help"
}

// noArgs refuses operands, and so says which verb is not known.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasParent():
		return usage(fmt.Errorf("%s takes no operands, and %q is given", strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" "), args[0]))
	}
	return usage(fmt.Errorf("there is no verb %q", args[0]))
}
