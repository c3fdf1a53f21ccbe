package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/poll"
	"github.com/nixnfsd/nixnfsd/internal/setup"
)

// upTime is how long a server that was started may take until the keeper sees it.
const upTime = 30 * time.Second

func newStartCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Start the server that was set up, and have it mounted",
		Long: `Have launchd or systemd start the server that "nixnfsd setup" has set up, and
the keeper mount it. What runs already goes on running.

Exit codes: 0 it runs and is mounted; 1 it does not, or is not; 4 it runs, and
no keeper does that could mount it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return start(cmd.Context(), newActor(cmd))
		},
	}
}

func start(ctx context.Context, a *actor) error {
	config, err := setUpConfig()
	if err == nil {
		err = byHand(ctx, config, a.run)
	}
	if err != nil {
		return err
	}
	fresh, err := config.Start(ctx, a.run)
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	if fresh {
		a.say("started")
	} else {
		a.say("it runs already")
	}
	var keeper keeperOptions
	if err := keeper.awaitServer(ctx); err != nil {
		return err
	}
	s, err := keeper.order(ctx, mountPath, nil)
	if err == nil {
		a.say("mounted: " + s.MountPoint + " from " + s.Address)
	}
	return err
}

// awaitServer waits until the keeper sees the owner's server.
func (o *keeperOptions) awaitServer(ctx context.Context) error {
	const pause = 100 * time.Millisecond
	ctx, cancel := context.WithTimeoutCause(ctx, upTime, fmt.Errorf("the server does not answer after %s: \"nixnfsd logs\" says why", upTime))
	defer cancel()
	return poll.Until(ctx, pause, func() (bool, error) {
		s, err := o.ask(ctx, http.MethodGet, keeperPath, nil)
		return s.Up(), err
	})
}

// setUpConfig is what setup has set up, as far as its flags make no difference.
func setUpConfig() (*setup.Config, error) {
	opts := setupOptions{address: address{listen: defaultListen, export: defaultExport}}
	config, err := opts.config()
	if err == nil && config.UID == 0 {
		err = errors.New("this is run by root: run it as the user whose server it is, without sudo")
	}
	return config, err
}

// byHand is an error where somebody runs the server in a terminal.
func byHand(ctx context.Context, c *setup.Config, run setup.Runner) error {
	var a serverAnswer
	if err := control.Repeat(ctx, c.State, http.MethodGet, serverPath, nil, &a); err != nil {
		return nil // none runs; what is wrong with one that does shows otherwise
	}
	if active, err := c.Active(ctx, run); err == nil && active {
		return nil
	}
	return fmt.Errorf("a server that was started by hand has the directories (process %d): end it where it was started", a.PID)
}
