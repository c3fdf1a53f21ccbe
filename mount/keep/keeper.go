package keep

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/nixnfsd/nixnfsd/mount"
)

// MinGrace is the shortest grace time: looks and commands get a fraction of it each.
const MinGrace = 5 * time.Second

const (
	// patience is how long mounting may take, and unmounting what is alive.
	patience = 30 * time.Second
	// mostActions bounds what is done before the next wait.
	mostActions = 8
)

// Options say what is kept mounted.
type Options struct {
	Target mount.Target
	Owner  uint32 // the user whose server it has to be
	// Grace is how long a mount is left whose server is gone, MinGrace at least.
	Grace time.Duration
	// Stat looks at the mount point in a child process; see mount.StatInChild.
	Stat mount.StatFunc
	// Report is told what was done ("mount", "unmount", "unmount by force") and what could not be,
	// and what keeps the keeper from its work ("look"), once, from one goroutine.
	Report func(what string, err error)
}

// Keeper makes a mount match its server.
type Keeper struct {
	Options
	system  system
	orders  chan request
	state   state
	looked  time.Time // when the last look began
	known   time.Time // when the server last knew the mount; zero: not yet
	failure error     // of the last command
	// said are the failures that were reported, by what failed.
	said map[string]string
}

// request is an order and where its end is told. Status is asked for with noOrder.
type request struct {
	order order
	done  chan outcome
}

type outcome struct {
	status Status
	err    error
}

// New makes a keeper, which does nothing until Run.
func New(o Options) *Keeper {
	return &Keeper{
		Options: o, system: realSystem(), orders: make(chan request),
		said: map[string]string{}, state: state{times: timesOf(max(o.Grace, MinGrace))},
	}
}

// Run looks and acts until ctx ends. It leaves the mount as it is.
func (k *Keeper) Run(ctx context.Context) {
	k.looked = time.Now()
	for {
		v, err := k.round(ctx)
		wait := k.state.times.steady
		if err == nil {
			wait = k.state.next(v)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		case r := <-k.orders:
			k.state = k.state.asked(r.order)
			v, err := k.round(ctx)
			if err == nil {
				err = k.result(r.order, v)
			}
			k.state.order = noOrder
			r.done <- outcome{k.status(v), err}
		}
	}
}

// round looks and acts until there is nothing to do, and gives what it saw last.
func (k *Keeper) round(ctx context.Context) (sight, error) {
	k.failure = nil
	for n := 0; ; n++ {
		start := time.Now()
		v, err := k.look(ctx)
		if ctx.Err() != nil {
			return v, ctx.Err()
		}
		if err != nil {
			k.report("look", err)
			return v, err
		}
		k.notice(v)
		var todo action
		k.state, todo = k.state.saw(v, start.Sub(k.looked))
		k.looked = start
		if todo == nothing || n == mostActions {
			return v, nil
		}
		err = k.act(ctx, todo, v)
		k.state = k.state.did(todo, err == nil)
		k.failure = err
	}
}

// act does what is to be done, with a time limit.
func (k *Keeper) act(ctx context.Context, a action, v sight) error {
	limit := patience
	if v.mounted() && !v.well() {
		limit = k.state.times.command
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	what, argv, err := "mount", mount.Args(runtime.GOOS, k.Target), error(nil)
	switch a {
	case mountIt:
		err = k.system.checkPoint(k.Target.At())
	case unmountGently:
		what, argv = "unmount", mount.UnmountArgs(runtime.GOOS, k.Target.At(), false)
	case unmountByForce:
		what, argv = "unmount by force", mount.UnmountArgs(runtime.GOOS, k.Target.At(), true)
	}
	if err == nil {
		err = k.system.run(ctx, argv)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("it took longer than %s", limit)
	}
	if !errors.Is(err, context.Canceled) {
		k.report(what, err)
	}
	return err
}

// report tells what was done, and of a failure that repeats itself once.
func (k *Keeper) report(what string, err error) {
	if err == nil {
		delete(k.said, what)
	} else if text := err.Error(); k.said[what] == text {
		return
	} else {
		k.said[what] = text
	}
	k.Report(what, err)
}
