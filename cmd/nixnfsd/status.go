package main

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/metrics"
	"github.com/nixnfsd/nixnfsd/internal/status"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/keep"
	"github.com/nixnfsd/nixnfsd/overlay"
)

type statusOptions struct {
	dirOptions
	keeper keeperOptions
	address
	watch, json bool
}

func newStatusCommand() *cobra.Command {
	var opts statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs and what it does",
		Long: `Show server, mount, keeper and layers, and what the server has done since it was
started: calls, failures, bytes, how long calls take (half of them at most p50,
99 of 100 at most p99) and what that is made of, caches and memory. The mount is
not touched; "nixnfsd check" says whether it works, and how to mend it.

With --watch it is shown once a second, per second, until q or Ctrl-C: in place
on a terminal, else a line each. With --json that line is a whole document.

Exit codes: 0 a server runs and is mounted, or --watch was ended; 3 it is not
mounted, something else is, or something is wrong with a layer; 4 no server
runs, and nothing is mounted or the mount is dead.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			looker, err := opts.looker()
			if err != nil {
				return err
			}
			if opts.watch {
				return opts.watchFor(cmd, looker)
			}
			return opts.once(cmd, looker)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&opts.watch, "watch", "w", false, "show it again every second")
	flags.BoolVar(&opts.json, "json", false, "print JSON, with a schemaVersion")
	opts.dirOptions.addState(flags)
	opts.address.add(flags)
	opts.keeper.add(flags, asker)
	return cmd
}

// looker says where to look. The address is needed only where no server answers by its state.
func (o *statusOptions) looker() (*status.Looker, error) {
	checker, err := o.checker()
	if err != nil {
		return nil, err
	}
	checker.Stat = func(context.Context, ...string) error { return nil } // the mount is not touched
	state, err := o.stateDir()
	if err != nil {
		return nil, err
	}
	owner := uint32(os.Getuid())
	if o.keeper.owner != "" {
		if owner, err = o.keeper.uid(); err != nil {
			return nil, err
		}
	}
	keeper := o.keeper.dir(owner)
	return &status.Looker{
		Address: checker.Addr, Export: o.export, Table: mount.Table,
		Check: func(ctx context.Context, at netip.AddrPort, export string) (mount.Status, error) {
			c := *checker
			c.Addr, c.Export = at, export
			return c.Check(ctx)
		},
		Server: func(ctx context.Context) (metrics.Snapshot, error) {
			return ask[metrics.Snapshot](ctx, state, statusPath)
		},
		Layers: func(ctx context.Context) ([]overlay.Layer, error) {
			a, err := ask[layersAnswer](ctx, state, layersPath)
			return a.Layers, err
		},
		Keeper: func(ctx context.Context) (keep.Status, error) { return ask[keep.Status](ctx, keeper, keeperPath) },
	}, nil
}

// ask gives the answer of who takes orders in dir.
func ask[T any](ctx context.Context, dir, path string) (answer T, err error) {
	err = control.Repeat(ctx, dir, http.MethodGet, path, nil, &answer)
	return answer, err
}

func (o *statusOptions) once(cmd *cobra.Command, l *status.Looker) error {
	r, err := l.Look(cmd.Context())
	if err != nil {
		return err
	}
	if err := o.print(cmd, &r); err != nil {
		return err
	}
	switch {
	case r.OK():
		return nil
	case r.Gone():
		return &exitError{code: exitNotRunning}
	}
	return &exitError{code: exitProblems}
}

func (o *statusOptions) print(cmd *cobra.Command, r *status.Report) error {
	w := cmd.OutOrStdout()
	if o.json {
		return printJSON(w, r)
	}
	var h status.History
	h.Add(*r)
	_, err := w.Write([]byte(strings.Join(h.Lines(0), "\n") + "\n"))
	return err
}

func (o *statusOptions) watchFor(cmd *cobra.Command, l *status.Looker) (err error) {
	w := cmd.OutOrStdout()
	if o.json {
		return status.Watch(cmd.Context(), l.Look, status.ToJSON(w))
	}
	out, ok := w.(*os.File)
	if !ok || !status.IsScreen(os.Stdin, out) {
		return status.Watch(cmd.Context(), l.Look, status.ToLines(w))
	}
	screen, ctx, err := status.Open(cmd.Context(), os.Stdin, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, screen.Close()) }()
	return status.Watch(ctx, l.Look, screen.Draw)
}
