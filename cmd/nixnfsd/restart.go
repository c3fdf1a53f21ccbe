package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/control"
)

// startTime is how long a program that took over may need until it answers.
const startTime = time.Minute

func newRestartCommand() *cobra.Command {
	var opts dirOptions
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "Put this program in the place of the running server's",
		Long: `Have the running server give way to this program, as after an upgrade, with the
flags that it was started with. Its process, its socket and all connections
stay: clients wait for a moment, and programs in the mount go on. This program,
which may not lie in the mount, is tried first, and calls that take long are
waited for while others are answered; if one of the two does not work out, the
server serves on as before.

Exit codes: 0 this program serves; 1 it does not; 4 no server runs.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return opts.restart(cmd.Context(), cmd.OutOrStdout())
		},
	}
	opts.addState(cmd.Flags())
	return cmd
}

func (o *dirOptions) restart(ctx context.Context, w io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	var before, after serverAnswer
	if err := o.order(ctx, http.MethodGet, serverPath, &before); err != nil {
		return err
	}
	err = o.orderOnce(ctx, http.MethodPost, restartPath, restartArg{program})
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: the server's log says whether it was restarted", context.Cause(ctx))
	case !errors.Is(err, control.ErrEnded):
		return fmt.Errorf("nothing was restarted: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := o.order(ctx, http.MethodGet, serverPath, &after); err != nil {
		return &exitError{exitFailure, fmt.Errorf("the server ended and did not come again; its log says why: %w", err)}
	}
	if after.Failure != "" {
		return fmt.Errorf("nothing was restarted: %s", after.Failure)
	}
	if after.Started.Equal(before.Started) {
		return errors.New("nothing was restarted: the server's log says why")
	}
	_, err = fmt.Fprintf(w, "restarted: process %d is %s now and was %s; clients waited %s\n",
		after.PID, after.Version, before.Version, after.Paused.Round(time.Millisecond))
	return err
}
