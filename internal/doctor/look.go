package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/hook"
	"github.com/nixnfsd/nixnfsd/mount"
)

// patience is how long each look may take.
const patience = 15 * time.Second

// look is one thing to look at. What it gives is put into the Sight by who waits for it, so that one that
// comes too late does no harm.
type look struct {
	what string
	see  func(ctx context.Context) (into func(*Sight), err error)
}

// Look looks at all. An error is only what keeps it from looking at server and mount.
func Look(ctx context.Context, c Config, e Eyes) (*Sight, error) {
	s := &Sight{Config: c, Now: time.Now()}
	o := onlooker{c, e}
	looks := []look{
		{"the server", o.server},
		{"the server's process", o.process},
		{"the keeper", o.keeper},
		{"what is set up", o.machine},
		{"Nix's files", o.nix},
		{"what the server keeps", o.kept},
		{"the shells' start-up files", o.hooks},
	}
	looks = append(looks, o.dirs()...)
	if c.Setup.System == "darwin" {
		looks = append(looks, look{"Time Machine and Spotlight", o.mac})
	}
	waits := make([]func() (func(*Sight), error), len(looks))
	for i, l := range looks {
		waits[i] = within(ctx, l)
	}
	var err error
	if s.Status, err = e.Status(ctx); err != nil {
		return nil, err
	}
	for _, wait := range waits {
		into, err := wait()
		if err != nil {
			s.Unseen = append(s.Unseen, err.Error())
		}
		if into != nil {
			into(s)
		}
	}
	return s, ctx.Err()
}

// within begins to look, and gives what waits for the end, but not for long.
func within(ctx context.Context, l look) func() (func(*Sight), error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	type seen struct {
		into func(*Sight)
		err  error
	}
	done := make(chan seen, 1)
	go func() {
		into, err := l.see(ctx)
		done <- seen{into, err}
	}()
	return func() (func(*Sight), error) {
		defer cancel()
		select {
		case r := <-done:
			if r.err != nil {
				r.err = fmt.Errorf("%s: %w", l.what, r.err)
			}
			return r.into, r.err
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: no answer in %s", l.what, patience)
		}
	}
}

// onlooker looks.
type onlooker struct {
	Config
	Eyes
}

func (o *onlooker) addr() netip.AddrPort { return o.Setup.Addr }

// inMount reports whether a path leads into the mount, where nothing must be looked at.
func (o *onlooker) inMount(path string) (bool, error) { return o.Layout.Mounted(path) }

func (o *onlooker) server(ctx context.Context) (func(*Sight), error) {
	server, err := o.Eyes.Server(ctx)
	return func(s *Sight) { s.Server = server }, err
}

func (o *onlooker) keeper(ctx context.Context) (func(*Sight), error) {
	keeper, err := o.Eyes.Keeper(ctx)
	return func(s *Sight) { s.Keeper = keeper }, err
}

func (o *onlooker) process(ctx context.Context) (func(*Sight), error) {
	holder := mount.ListenerAt(ctx, o.addr())
	if holder.PID == 0 {
		return nil, nil
	}
	p, err := o.processOf(ctx, holder.PID)
	return func(s *Sight) { s.Process = p }, err
}

// hooks looks at start-up files, of which those in the mount are left alone.
func (o *onlooker) hooks(context.Context) (func(*Sight), error) {
	var stale []string
	var errs []error
	for _, f := range hook.Files(o.Setup.System, o.Setup.Home, o.Setup.Configs) {
		if !filepath.IsAbs(f.Path) {
			continue
		}
		state, err := hook.Hook{File: f, Command: []string{o.Setup.Program}, MountPoint: o.Layout.MountPoint}.State()
		if state == hook.Stale {
			stale = append(stale, f.Path)
		}
		errs = append(errs, err)
	}
	return func(s *Sight) { s.StaleHooks = stale }, errors.Join(errs...)
}
