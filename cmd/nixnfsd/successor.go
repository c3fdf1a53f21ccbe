package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/nixnfsd/nixnfsd/internal/handover"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// haltTime bounds how long a restart waits for calls that take long. A client that does not
// take its replies has been cut off by then (package nfs).
const haltTime = 2 * time.Minute

// succession is what a server leaves, and to which program.
type succession struct {
	*handover.Bundle
	restart
}

// rehearse does what a successor can do while the server before it runs.
func (d *daemon) rehearse() error {
	if err := makeDirs(d.layout); err != nil {
		return err
	}
	if _, err := nfs.LoadKey(d.layout.State); err != nil {
		return fmt.Errorf("load the key of the file handles: %w", err)
	}
	if err := overlay.Rehearse(d.overlayOptions()); err != nil {
		return refusal(err, d.layout)
	}
	return handover.Promise(d.stdout)
}

// fits says why a program cannot take over, however it was made. It is asked before a
// rehearsal, which makes directories that are not there.
func (d *daemon) fits(program string, s *server) error {
	switch in, err := d.layout.Mounted(program); {
	case err != nil:
		return err
	case in:
		return fmt.Errorf("%s lies in what this server serves, and nobody would serve it while it starts: run a copy that lies elsewhere", program)
	}
	return d.steady(s)
}

// steady says why a successor would find another key or other directories than s has, or
// could not open them: then this server could not come back either.
func (d *daemon) steady(s *server) error {
	l, err := d.opts.resolve(d.opts.export)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(l, d.layout) {
		return errors.New("the server's flags lead to other directories by now: stop it and start it again")
	}
	for _, p := range s.fsys.Layers()[0].Problems {
		return fmt.Errorf("--upper %s %s: %s", l.Upper, p.What, p.Mend)
	}
	if err := s.key.IsIn(l.State); err != nil {
		return fmt.Errorf("%w: put it back", err)
	}
	locks, err := s.fsys.Locks()
	if err != nil {
		return err
	}
	for _, f := range locks {
		if err == nil && !inPlace(f) {
			err = fmt.Errorf("%s is not the directory any more that this server has: put that back", f.Name())
		}
		f.Close()
	}
	return err
}

// inPlace reports whether a directory is still at its path.
func inPlace(f *os.File) bool {
	here, err := f.Stat()
	there, terr := os.Stat(f.Name())
	return err == nil && terr == nil && os.SameFile(here, there)
}

// adopt has the server go on with the predecessor's connections. A client whose connection
// is lost connects anew.
func (d *daemon) adopt(s *server, from *handover.Bundle) {
	conns := from.Conns
	from.Conns = nil
	for _, c := range conns {
		nc, err := net.FileConn(c.File)
		c.File.Close() // at once: there may not be two descriptors for each
		switch {
		case err != nil:
			d.log.WithError(err).Warn("connection lost in a restart")
		case nc.RemoteAddr() == nil: // the client has reset it meanwhile
			nc.Close()
		default:
			s.nfs.Adopt(nfs.Conn{Conn: nc, Unread: c.Unread})
		}
	}
	d.orders.self.Paused, d.orders.self.Failure = time.Since(from.Since), from.Failure
	if err := from.Close(); err != nil {
		d.log.WithError(err).Warn("not all was closed after a restart")
	}
	log := d.log.WithFields(logrus.Fields{
		"version": version(), "before": from.Version, "connections": len(conns), "paused": d.orders.self.Paused,
	})
	if from.Failure != "" {
		log.WithField("err", from.Failure).Error("not restarted: the other program could not serve")
		return
	}
	log.Info("restarted")
}

// handOver brings the server to rest and gives what its successor needs; the orders are held
// then. On an error the server serves on.
func (d *daemon) handOver(ctx context.Context, s *server) (_ *handover.Bundle, err error) {
	ctx, cancel := context.WithTimeout(ctx, haltTime)
	defer cancel()
	b, err := d.bundle(s)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if err := d.orders.hold(ctx); err != nil {
		return nil, err
	}
	halt, err := s.nfs.Halt(ctx)
	if err != nil {
		d.orders.release()
		return nil, err
	}
	b.Since = halt.Since
	for _, c := range halt.Detach() {
		if err := b.Add(c.Conn, c.Unread); err != nil {
			d.log.WithError(err).Warn("connection lost in a restart")
		}
	}
	return b, nil
}

// bundle has all that a successor gets but connections.
func (d *daemon) bundle(s *server) (b *handover.Bundle, err error) {
	if b, err = handover.New(version(), d.layout.State); err != nil {
		return nil, err
	}
	var errs [4]error
	b.Listener, errs[0] = handover.Dup(s.listener)
	b.Locks, errs[1] = s.fsys.Locks()
	if d.orders.listener != nil {
		b.Control, errs[2] = handover.Dup(d.orders.listener)
	}
	if d.meters != nil && d.meters.listener != nil {
		b.Metrics, errs[3] = handover.Dup(d.meters.listener)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// exec puts the program in the place of this one, unless that was told to end: the other would
// not know. When it returns, this one has to follow itself.
func (d *daemon) exec(ctx context.Context, next *succession) {
	err := errEnding
	if ctx.Err() == nil {
		err = next.Exec(next.program)
	}
	next.Bundle.Program, next.Bundle.Failure = nil, err.Error()
	next.failed <- err
}
