package main

import (
	"context"
	stdlog "log"
	"net"
	"os"

	"github.com/sirupsen/logrus"

	"github.com/nixnfsd/nixnfsd/internal/metrics"
	"github.com/nixnfsd/nixnfsd/mount"
)

// meters gives metrics as long as the process lives, where that is asked for; a nil one gives none.
type meters struct {
	address  metrics.Address
	snapshot func() metrics.Snapshot
	log      *logrus.Logger
	listener net.Listener // nil: none can be given
	server   *metrics.Server
	done     chan struct{} // closed when none is
}

// newMeters gives nil where no metrics are asked for.
func newMeters(opts *offerOptions, l mount.Layout, o *orders, log *logrus.Logger) (*meters, error) {
	a, err := opts.metricsAddress(l)
	if a == nil || err != nil {
		return nil, err
	}
	return &meters{address: *a, snapshot: o.snapshot, log: log, done: make(chan struct{})}, nil
}

// take listens, or goes on with a predecessor's socket. A server that cannot serves all the same:
// nobody's mount is to end for that.
func (m *meters) take(ctx context.Context, from *os.File) {
	if m == nil || m.listener != nil { // this process follows itself
		return
	}
	var err error
	if from != nil {
		m.listener, err = metrics.Resume(from, m.address)
	} else {
		m.listener, err = metrics.Listen(ctx, m.address)
	}
	if err != nil {
		m.log.WithError(err).Warn("no metrics are given")
		return
	}
	out := m.log.WriterLevel(logrus.WarnLevel)
	m.server = metrics.New(m.snapshot, stdlog.New(out, "", 0))
	go func() {
		defer close(m.done)
		_ = m.server.Serve(metrics.Guard(m.listener)) // ends with Shutdown
		out.Close()
	}()
}

// end waits for the answers under way until ctx ends.
func (m *meters) end(ctx context.Context) {
	if m == nil || m.listener == nil {
		return
	}
	if err := m.server.Shutdown(ctx); err != nil {
		m.log.WithError(err).Warn("an answer to a request for metrics was cut short")
	}
	<-m.done
}

// where is the place that the metrics are at, empty for none.
func (m *meters) where() string {
	switch {
	case m == nil || m.listener == nil:
		return ""
	case m.address.Socket != "":
		return "unix:" + m.address.Socket
	}
	return "http://" + m.listener.Addr().String() + metrics.Path
}
