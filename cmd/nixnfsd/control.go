package main

import (
	"context"
	"encoding/json"
	"errors"
	stdlog "log"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/handover"
	"github.com/nixnfsd/nixnfsd/internal/metrics"
	"github.com/nixnfsd/nixnfsd/internal/poll"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// The orders that other verbs give the server.
const (
	serverPath  = "/v1/server"
	restartPath = "/v1/restart"
	layersPath  = "/v1/layers"
	statusPath  = "/v1/status"
	refreshPath = "/v1/layers/refresh"
)

// fitTime bounds the look at the directories before a restart.
const fitTime = 20 * time.Second

// serverAnswer is what the server says of itself.
type serverAnswer struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"` // when the program was, not the process
	// Paused is how long clients waited when the program took over from another.
	Paused time.Duration `json:"paused"`
	// Failure is why another program gave back what it was to take over.
	Failure string `json:"failure,omitempty"`
}

// restartArg is the argument of a restart.
type restartArg struct {
	Program string `json:"program"` // absolute path
}

// layersAnswer is what the server says of its layers.
type layersAnswer struct {
	Address   string             `json:"address"` // where the server listens
	Export    string             `json:"export"`
	Layers    []overlay.Layer    `json:"layers"`
	Refreshed *overlay.Refreshed `json:"refreshed,omitempty"`
}

// restart is an order to let another program take over. Who takes it from orders says at
// failed why that did not come about; else nobody is there to say anything.
type restart struct {
	program string
	failed  chan error
}

// orders are taken as long as the process lives, also while one server gives way to the next.
type orders struct {
	listener net.Listener // nil: none can be taken
	server   *control.Server
	log      *logrus.Logger
	restarts chan restart
	turn     chan struct{} // taken by the restart that is under way
	done     chan struct{} // closed when no order is

	mu    sync.RWMutex // held by orders for what follows, and by whoever puts others in place
	fsys  *overlay.FS
	nfs   *nfs.Server
	where layersAnswer
	fits  func(program string) error // says why a program cannot take over
	self  serverAnswer
}

// newOrders makes them wait for use.
func newOrders(log *logrus.Logger) *orders {
	o := &orders{log: log, restarts: make(chan restart), turn: make(chan struct{}, 1), done: make(chan struct{})}
	o.self = serverAnswer{Version: version(), PID: os.Getpid(), Started: time.Now()}
	o.mu.Lock()
	return o
}

// take listens on the control socket in the state directory, or goes on with a predecessor's. A
// server without one, for want of room on the disk, serves all the same.
func (o *orders) take(state string, from *os.File) {
	if o.listener != nil { // this process follows itself
		return
	}
	var err error
	if o.listener, err = listenForOrders(state, from); err != nil {
		o.log.WithError(err).Warn("no orders are taken")
		return
	}
	out := o.log.WriterLevel(logrus.ErrorLevel)
	o.server = control.New(o.all(), stdlog.New(out, "", 0))
	go func() {
		defer close(o.done)
		_ = o.server.Serve(o.listener) // ends with Shutdown
		out.Close()
	}()
}

func listenForOrders(state string, from *os.File) (net.Listener, error) {
	owner := uint32(os.Getuid())
	if from == nil {
		return control.Listen(state, owner)
	}
	l, err := net.FileListener(from)
	if err != nil {
		return nil, err
	}
	return control.Resume(l.(*net.UnixListener), state, owner), nil
}

// end waits for the orders under way until ctx ends.
func (o *orders) end(ctx context.Context) {
	if o.listener == nil {
		return
	}
	if err := o.server.Shutdown(ctx); err != nil {
		o.log.WithError(err).Warn("an order was cut short")
	}
	<-o.done
}

// use has orders mean a server, which nobody does who waited.
func (o *orders) use(s *server, where layersAnswer, fits func(program string) error) {
	o.fsys, o.nfs, o.where, o.fits = s.fsys, s.nfs, where, fits
	o.mu.Unlock()
}

// hold waits for the orders under way, and has others wait, until release or use.
func (o *orders) hold(ctx context.Context) error {
	const pause = 5 * time.Millisecond
	if poll.Until(ctx, pause, func() (bool, error) { return o.mu.TryLock(), nil }) != nil {
		return errors.New("another order has been under way for too long")
	}
	return nil
}

func (o *orders) release() { o.mu.Unlock() }

func (o *orders) all() control.Orders {
	return control.Orders{
		"GET " + serverPath:   o.tellServer,
		"POST " + restartPath: o.restart,
		"GET " + layersPath:   o.tellLayers,
		"GET " + statusPath:   o.tellStatus,
		"POST " + refreshPath: o.refresh,
	}
}

func (o *orders) tellServer(context.Context, json.RawMessage) (any, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.self, nil
}

func (o *orders) tellStatus(context.Context, json.RawMessage) (any, error) { return o.snapshot(), nil }

// snapshot looks at the server, and waits while one gives way to the next.
func (o *orders) snapshot() metrics.Snapshot {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return metrics.Snapshot{
		Version: o.self.Version, PID: o.self.PID, Started: o.self.Started, Taken: time.Now(),
		Address: o.where.Address, Export: o.where.Export, Memory: metrics.Memory(),
		NFS: o.nfs.Stats(), Overlay: o.fsys.Stats(),
	}
}

func (o *orders) tellLayers(context.Context, json.RawMessage) (any, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	a := o.where
	a.Layers = o.fsys.Layers()
	return a, nil
}

func (o *orders) refresh(context.Context, json.RawMessage) (any, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	r, err := o.fsys.Refresh()
	a := o.where
	a.Layers, a.Refreshed = o.fsys.Layers(), &r
	return a, err
}

// restart has a program take over that has shown that it can. One does at a time: programs
// that are tried are this process's children, and would be its successor's.
func (o *orders) restart(ctx context.Context, b json.RawMessage) (any, error) {
	var arg restartArg
	if err := json.Unmarshal(b, &arg); err != nil || !filepath.IsAbs(arg.Program) {
		return nil, errors.New("a restart needs the path of a program")
	}
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return nil, errEnding
	}
	if err := o.mayFollow(ctx, arg.Program); err != nil {
		return nil, err
	}
	switch err := handover.Rehearse(ctx, arg.Program, os.Args[1:]); {
	case ctx.Err() != nil:
		return nil, errEnding
	case err != nil:
		return nil, err
	}
	r := restart{arg.Program, make(chan error, 1)}
	select {
	case o.restarts <- r:
		return nil, <-r.failed
	case <-ctx.Done():
		return nil, errEnding
	}
}

// errEnding is an order's end when the server ends, or when there is nobody any more to read this.
var errEnding = errors.New("the server is ending")

// mayFollow asks fits, and waits for no directory that does not answer.
func (o *orders) mayFollow(ctx context.Context, program string) error {
	o.mu.RLock()
	fits := o.fits
	o.mu.RUnlock()
	answer := make(chan error, 1)
	go func() { answer <- fits(program) }()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return errEnding
	case <-time.After(fitTime):
		return errors.New("one of the server's directories does not answer")
	}
}
