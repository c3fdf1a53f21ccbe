package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// contender is a server, or the system calls themselves, with which workloads are run.
type contender struct {
	*bench
	ctx   context.Context // of its processes
	name  string
	round int
	place *place
	srv   *server // nil: system calls

	link *link
	root nfsclient.FH
}

// connect makes a new connection and mounts.
func (c *contender) connect() error {
	cred := nfsclient.AuthSys(uint32(os.Getuid()), uint32(os.Getgid()))
	mnt, err := dial(c.srv.mnt, cred)
	if err != nil {
		return err
	}
	defer mnt.close()
	if err := mnt.run(1, func(w *walker) (err error) {
		c.root, err = w.mount(c.srv.export)
		return err
	}); err != nil {
		return err
	}
	c.link, err = dial(c.srv.nfs, cred)
	return err
}

// once has one walker do something that is not measured.
func (c *contender) once(work func(*walker) error) error {
	c.link.meter = new(meter)
	return c.link.run(1, work)
}

// handle looks a path up.
func (c *contender) handle(names ...string) (fh nfsclient.FH, err error) {
	err = c.once(func(w *walker) error {
		fh, err = w.walk(c.root, names...)
		return err
	})
	return fh, err
}

// measure has so many walkers work at once, and notes the result.
func (c *contender) measure(row string, walkers int, work func(*walker, *meter) error) error {
	return c.note(measure(row, c.srv, c.length, func(m *meter) error {
		c.link.meter = m
		return c.link.run(walkers, func(w *walker) error { return work(w, m) })
	}))
}

// direct measures system calls, which do has each time.
func (c *contender) direct(row string, do func(m *meter) error) error {
	return c.note(measure(row, nil, c.length, do))
}

// repeat does something until the time is over, and counts it.
func (m *meter) repeat(do func() error) error {
	const between = 64 // a look at the clock costs almost as much as a system call
	for !m.late(time.Now()) {
		for range between {
			if err := do(); err != nil {
				return err
			}
			m.calls++
		}
	}
	return nil
}

// note keeps a result.
func (c *contender) note(r result) error {
	r.server, r.round = c.name, c.round
	c.results = append(c.results, r)
	if r.err != nil {
		return fmt.Errorf("%s: %w", r.row, r.err)
	}
	return nil
}

// do runs a workload. What fails is noted; the other workloads go on.
func (c *contender) do(wl *workload) {
	if err := c.try(wl); err != nil {
		c.fail(c, wl.name, err)
	}
}

func (c *contender) try(wl *workload) error {
	if c.srv == nil {
		return wl.direct(c)
	}
	if err := c.connect(); err != nil {
		return err
	}
	link := c.link
	defer link.close()
	return wl.served(c)
}

// fail notes what failed.
func (b *bench) fail(c *contender, what string, err error) {
	fmt.Fprintf(b.log, "bench: %s: %s: %v\n", c.name, what, err)
	b.failed[failure{c.name, what}] = err
}

// failure is what failed: a contender's workload.
type failure struct{ contender, workload string }

var errWrong = errors.New("a wrong answer")
