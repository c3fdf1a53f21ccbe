package status

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"sync"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/metrics"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/keep"
	"github.com/nixnfsd/nixnfsd/overlay"
)

const (
	// limit is how long who is asked may take.
	limit = 2 * time.Second
	// seldom is how old what the keeper and the layers are may be: the keeper asks the
	// server, and the server tries to write to its upper.
	seldom = 10 * time.Second
)

// Looker looks. Its fields say where, and do the asking.
type Looker struct {
	Address netip.AddrPort // where the server is expected: at first, or where it was last
	Export  string         // likewise

	Server func(context.Context) (metrics.Snapshot, error)
	Layers func(context.Context) ([]overlay.Layer, error)
	Keeper func(context.Context) (keep.Status, error)
	Table  func() ([]mount.Entry, error)
	// Check looks from outside where the server gives no answer, without touching the mount.
	Check func(ctx context.Context, at netip.AddrPort, export string) (mount.Status, error)

	asked  time.Time // when keeper and layers were
	keeper Keeper
	layers []overlay.Layer
}

// Look looks once. An error is only what keeps it from looking at all.
func (l *Looker) Look(ctx context.Context) (Report, error) {
	r := Report{SchemaVersion: SchemaVersion, Server: Server{Address: l.Address.String(), Export: l.Export}, MountPoint: l.Export}
	var others sync.WaitGroup
	if now := time.Now(); l.asked.IsZero() || now.Sub(l.asked) >= seldom {
		l.asked = now
		others.Go(func() { l.keeper = l.askKeeper(ctx) })
		others.Go(func() { l.layers = l.askLayers(ctx) })
	}
	var s metrics.Snapshot
	err := limited(ctx, func(ctx context.Context) (err error) { s, err = l.Server(ctx); return err })
	others.Wait()
	r.Keeper, r.Server.State, r.Server.Error = l.keeper, presence(err), text(err)
	if k := r.Keeper.Seen; k != nil {
		r.MountPoint = k.MountPoint
	}
	if err != nil {
		l.asked = time.Time{} // until there is one again
		return r, errors.Join(l.outside(ctx, &r), ctx.Err())
	}
	r.Stats, r.Layers = &s, l.layers
	return r, l.inside(&r)
}

// inside is for a server that has answered.
func (l *Looker) inside(r *Report) error {
	r.Server.Address, r.Server.Export = r.Stats.Address, r.Stats.Export
	if r.Keeper.Seen == nil {
		r.MountPoint = r.Server.Export
	}
	at, err := netip.ParseAddrPort(r.Server.Address)
	if err != nil {
		return fmt.Errorf("the server's address: %w", err)
	}
	l.Address, l.Export = at, r.Server.Export
	table, err := l.Table()
	if err != nil {
		return err
	}
	r.judge(mount.Find(table, r.MountPoint), at)
	return nil
}

// outside is for one that has not.
func (l *Looker) outside(ctx context.Context, r *Report) error {
	c, err := l.Check(ctx, l.Address, l.Export)
	if err != nil {
		return err
	}
	r.State, r.Summary, r.Mount, r.MountPoint, r.up = c.State, c.Summary, c.Mount, c.MountPoint, c.Server.Up
	return nil
}

func (l *Looker) askKeeper(ctx context.Context) Keeper {
	var seen keep.Status
	err := limited(ctx, func(ctx context.Context) (err error) { seen, err = l.Keeper(ctx); return err })
	if err != nil {
		return Keeper{State: presence(err), Error: text(err)}
	}
	return Keeper{State: Running, Seen: &seen}
}

// askLayers gives nil where the server does not tell.
func (l *Looker) askLayers(ctx context.Context) (layers []overlay.Layer) {
	err := limited(ctx, func(ctx context.Context) (err error) { layers, err = l.Layers(ctx); return err })
	if err != nil {
		return nil
	}
	return layers
}

func limited(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return ask(ctx)
}

func presence(err error) Presence {
	switch {
	case err == nil:
		return Running
	case errors.Is(err, control.ErrNotRunning):
		return NotRunning
	case errors.Is(err, fs.ErrPermission):
		return NotYours
	}
	return Silent
}

// text is an error that is worth to be told: that nobody runs is in the state.
func text(err error) string {
	if err == nil || errors.Is(err, control.ErrNotRunning) {
		return ""
	}
	return err.Error()
}
