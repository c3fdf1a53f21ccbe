package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/poll"
	"github.com/nixnfsd/nixnfsd/launchd"
	"github.com/nixnfsd/nixnfsd/launchd/systemd"
)

// ErrNotSetUp is a server that neither launchd nor systemd starts.
var ErrNotSetUp = errors.New(`it is not set up: run "nixnfsd setup", or "nixnfsd serve" in a terminal`)

// stopTime is how long a server may take to end: more than launchd and systemd let it live.
const stopTime = 30 * time.Second

// service is what the system knows of the server that it starts for its owner.
type service struct {
	loaded bool // it is known
	active bool // it runs, or is about to be started again
}

// Active reports whether the system runs the server, or is about to. The error is ErrNotSetUp where
// it does not know of it.
func (c *Config) Active(ctx context.Context, run Runner) (bool, error) {
	s, err := c.service(ctx, run)
	return s.active, err
}

// Start has the system start the server. It reports whether there was anything to do.
func (c *Config) Start(ctx context.Context, run Runner) (bool, error) {
	s, err := c.service(ctx, run)
	if err != nil {
		return false, err
	}
	commands := c.startCommands(s)
	return len(commands) > 0, runAll(ctx, commands, run)
}

// Stop has the system end the server until it is started, or its owner's next session. It returns
// when it has ended, and reports whether it ran.
func (c *Config) Stop(ctx context.Context, run Runner) (bool, error) {
	s, err := c.service(ctx, run)
	if err != nil {
		return false, err
	}
	if err := runAll(ctx, c.stopCommands(s), run); err != nil {
		return s.active, err
	}
	return s.active, c.awaitEnd(ctx, run)
}

// awaitEnd waits, since "launchctl bootout" does not: a server that still ends keeps its port.
func (c *Config) awaitEnd(ctx context.Context, run Runner) error {
	const pause = 100 * time.Millisecond
	ctx, cancel := context.WithTimeoutCause(ctx, stopTime, errors.New("it has not ended after "+stopTime.String()))
	defer cancel()
	return poll.Until(ctx, pause, func() (bool, error) {
		s, err := c.service(ctx, run)
		return err == nil && !s.active, nil
	})
}

// service asks the system. One that it cannot be asked after is not loaded.
func (c *Config) service(ctx context.Context, run Runner) (service, error) {
	if _, err := os.Lstat(c.places().server); err != nil {
		return service{}, ErrNotSetUp
	}
	text, err := run(ctx, c.showCommand())
	if ctx.Err() != nil {
		return service{}, context.Cause(ctx)
	}
	if err != nil {
		return service{}, nil // launchctl says so of a job that is not loaded
	}
	return c.parseShow(text), nil
}

func (c *Config) showCommand() []string {
	if c.System == "darwin" {
		return launchd.GUI(c.UID).Print(launchd.ServerLabel)
	}
	return systemd.User().Show(systemd.ServerUnit)
}

func (c *Config) parseShow(text string) service {
	if c.System == "darwin" {
		// KeepAlive: what is loaded is started again, whatever its state is now.
		_, err := launchd.ParsePrint(text)
		return service{loaded: err == nil, active: err == nil}
	}
	s, err := systemd.ParseShow(text)
	return service{loaded: err == nil && s.Loaded, active: err == nil && (s.Running || s.Reason == "auto-restart" || s.Reason == "stop-sigterm")}
}

// startCommands start what does not run.
func (c *Config) startCommands(s service) [][]string {
	switch {
	case s.active:
		return nil
	case c.System == "darwin":
		gui := launchd.GUI(c.UID)
		return [][]string{gui.Enable(launchd.ServerLabel), gui.Bootstrap(c.places().server)}
	case !s.loaded:
		return [][]string{systemd.User().Reload(), systemd.User().Start(systemd.ServerUnit)}
	}
	return [][]string{systemd.User().Start(systemd.ServerUnit)}
}

// stopCommands end what runs. One of launchd's jobs would be started again, unless it is forgotten.
func (c *Config) stopCommands(s service) [][]string {
	switch {
	case !s.active:
		return nil
	case c.System == "darwin":
		return [][]string{launchd.GUI(c.UID).Bootout(launchd.ServerLabel)}
	}
	return [][]string{systemd.User().Stop(systemd.ServerUnit)}
}

// LogCommand prints the last lines of the server's log, and those that are to come if it follows. The
// file of macOS is followed over its rotation; of systemd's journals all that the
// user may read are looked through, and journalctl says where he may not.
func (c *Config) LogCommand(lines int, follow bool) ([]string, error) {
	if _, err := os.Lstat(c.places().server); err != nil {
		return nil, fmt.Errorf("of a server that runs in a terminal the log is there; else %w", ErrNotSetUp)
	}
	return c.logCommand(lines, follow), nil
}

func (c *Config) logCommand(lines int, follow bool) []string {
	n := strconv.Itoa(lines)
	if c.System == "darwin" {
		args := []string{"/usr/bin/tail", "-n", n}
		if follow {
			args = append(args, "-F")
		}
		return append(args, c.ServerLog())
	}
	args := []string{"/usr/bin/journalctl", "--no-pager", "--user-unit", systemd.ServerUnit, "--lines", n}
	if follow {
		args = append(args, "--follow")
	}
	return args
}

// ServerLog is the file that macOS's server logs to.
func (c *Config) ServerLog() string { return path.Join(c.Home, "Library/Logs/nixnfsd.log") }

func runAll(ctx context.Context, commands [][]string, run Runner) error {
	for _, args := range commands {
		if _, err := run(ctx, args); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}
