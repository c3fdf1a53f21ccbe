package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/internal/terminal"
)

// applyVerb is the verb by which root's steps come to root. Help does not show it.
const applyVerb = "apply"

// actor carries plans out: it asks, and does the user's steps and, by sudo, root's.
type actor struct {
	stdin          *bufio.Reader
	terminal       bool // standard input is one
	stdout, stderr io.Writer
	yes            bool // nobody is asked
}

func newActor(cmd *cobra.Command) *actor {
	file, ok := cmd.InOrStdin().(*os.File)
	return &actor{
		stdin: bufio.NewReader(cmd.InOrStdin()), terminal: ok && term.IsTerminal(int(file.Fd())),
		stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(),
	}
}

// run runs a command that is named by its whole path. What it says of a failure is
// in the error.
func (a *actor) run(ctx context.Context, args []string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if text := strings.TrimSpace(stderr.String()); err != nil && text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return stdout.String(), err
}

// show runs a command whose output is the user's to see, until ctx ends.
func (a *actor) show(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = a.stdout, a.stderr
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("run %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// errRefused is that who was asked did not agree.
var errRefused = errors.New("nothing was touched")

// carryOut shows a plan, asks, and does it: root's steps before the user's. export is
// what is set up, empty where it is taken back; store are the server's directories.
func (a *actor) carryOut(ctx context.Context, c *setup.Config, p *setup.Plan, export string, store []string, dryRun bool) error {
	fmt.Fprint(a.stdout, terminal.PlainText(p.Text()))
	if dryRun || len(p.Steps) == 0 {
		return nil
	}
	if !a.agreed(ctx, "Go on?") {
		return errRefused
	}
	roots := setup.Order{Receipt: c.RootReceipt(), Export: export, Steps: p.Of(true)}
	users := setup.Order{Receipt: c.UserReceipt(), Export: export, Store: store, Steps: p.Of(false)}
	var err error
	switch {
	case len(roots.Steps) == 0:
	case os.Getuid() == 0:
		err = setup.Apply(ctx, roots, a.run, a.say)
	default:
		err = a.asRoot(ctx, c.Program, roots)
	}
	if err == nil {
		err = setup.Apply(ctx, users, a.run, a.say)
	}
	if err != nil {
		return fmt.Errorf("not all is done: %w; mend that, and run this again", err)
	}
	return nil
}

func (a *actor) say(what string) { fmt.Fprintln(a.stdout, terminal.PlainText(what)) }

// agreed asks once. To interrupt it is no yes, and nor is an end; who was interrupted asks no more.
func (a *actor) agreed(ctx context.Context, question string) bool {
	if a.yes || ctx.Err() != nil {
		return a.yes
	}
	fmt.Fprint(a.stdout, question+" [y/N] ")
	read := make(chan string, 1)
	go func() {
		line, _ := a.stdin.ReadString('\n')
		read <- line
	}()
	select {
	case line := <-read:
		answer := strings.ToLower(strings.TrimSpace(line))
		return ctx.Err() == nil && (answer == "y" || answer == "yes")
	case <-ctx.Done():
		fmt.Fprintln(a.stdout) // nobody has ended the line
		return false
	}
}

// asRoot has sudo run this program. sudo asks at the terminal, so that standard
// input is free for the steps.
func (a *actor) asRoot(ctx context.Context, program string, order setup.Order) error {
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "/usr/bin/sudo", "--", program, applyVerb)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), a.stdout, a.stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("root's steps: %w", err)
	}
	return nil
}

func newApplyCommand() *cobra.Command {
	return &cobra.Command{
		Use:    applyVerb,
		Short:  "Do root's steps of setup and uninstall, which come on standard input",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Getuid() != 0 {
				return usage(errors.New("only setup and uninstall run this, as root"))
			}
			var order setup.Order
			if err := json.NewDecoder(cmd.InOrStdin()).Decode(&order); err != nil {
				return fmt.Errorf("read the steps: %w", err)
			}
			a := newActor(cmd)
			return setup.Apply(cmd.Context(), order, a.run, a.say)
		},
	}
}
