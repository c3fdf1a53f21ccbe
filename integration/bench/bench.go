package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"time"
)

// The contenders' names. A number is how many lower directories there are.
const (
	nixnfsd  = "nixnfsd"
	overOne  = "nixnfsd+1"
	overMany = "nixnfsd+5"
	limit    = "limit"
	goNFS    = "go-nfs"
	ganesha  = "ganesha"
	system   = "direct"
	echo     = "echo"
)

// contenders are all of them, in the order in which they are started.
func contenders() []string {
	return []string{nixnfsd, limit, goNFS, ganesha, overOne, overMany, system, echo}
}

// lowersOf gives how many lower directories a contender has that is nixnfsd.
func lowersOf(name string) (n int, ours bool) {
	switch name {
	case nixnfsd:
		return 0, true
	case overOne:
		return 1, true
	case overMany:
		return manyLowers, true
	}
	return 0, false
}

// bench is one run of the benchmark.
type bench struct {
	program string // nixnfsd's
	scale   scale
	length  time.Duration // of each workload that ends after a time
	rounds  int
	wanted  func(workload string) bool
	peers   []string // contenders that are there
	dir     string   // of trees that are kept
	log     io.Writer

	results []result
	failed  map[failure]error
}

// run measures everything in each round, one contender after the other in each workload.
func (b *bench) run(ctx context.Context) error {
	b.failed = map[failure]error{}
	disk, err := diskPlace(b.dir, &b.scale, b.log)
	if err != nil {
		return err
	}
	mem, err := memoryPlace(&b.scale)
	if err != nil {
		return err
	}
	defer os.RemoveAll(mem.dir)
	for round := range b.rounds {
		for _, p := range []*place{disk, mem} {
			if err := b.visit(ctx, p, round); err != nil {
				return err
			}
		}
	}
	return nil
}

// visit runs the workloads of a place.
func (b *bench) visit(ctx context.Context, p *place, round int) error {
	var todo []workload
	for _, wl := range workloads() {
		if wl.disk == p.disk && b.wanted(wl.name) {
			todo = append(todo, wl)
		}
	}
	if len(todo) == 0 {
		return nil
	}
	all := b.enter(ctx, p, round)
	defer leave(all)
	for i := range todo {
		fmt.Fprintf(b.log, "bench: round %d of %d: %s\n", round+1, b.rounds, todo[i].name)
		for _, k := range turns(len(all), round, i) {
			if c := all[k]; ctx.Err() == nil && todo[i].runs(c) {
				c.do(&todo[i])
			}
		}
	}
	return ctx.Err()
}

// turns is the order of n contenders, another one in each round of each workload: what one
// leaves behind, in caches and in the scheduler, is not to meet the same one always.
func turns(n, round, workload int) []int {
	return rand.New(rand.NewPCG(uint64(round), uint64(workload))).Perm(n)
}

// enter starts the servers of a place. One that does not start is left out.
func (b *bench) enter(ctx context.Context, p *place, round int) (all []*contender) {
	for _, name := range b.peers {
		c := &contender{bench: b, ctx: ctx, name: name, round: round, place: p}
		err := c.begin(ctx)
		if c.srv != nil || name == system {
			all = append(all, c)
		}
		if err != nil {
			b.fail(c, "start", err)
		}
	}
	return all
}

func leave(all []*contender) {
	for _, c := range all {
		if c.srv != nil {
			c.srv.stop()
		}
	}
}

// begin starts the contender's server, which knows nothing of servers before it.
func (c *contender) begin(ctx context.Context) error {
	if c.name == system {
		return nil
	}
	if n, ours := lowersOf(c.name); ours {
		if err := os.RemoveAll(c.place.state(n)); err != nil {
			return err
		}
	}
	return c.start(ctx, "start", "idle")
}

// start starts the server and waits for its first answers. The rows are for the time that
// this took, and for the memory that the server has then.
func (c *contender) start(ctx context.Context, timeRow, memoryRow string) (err error) {
	began := time.Now()
	if n, ours := lowersOf(c.name); ours {
		c.srv, err = startNixnfsd(ctx, c.bench, c.place, n)
	} else if c.name == ganesha {
		c.srv, err = startGanesha(ctx, c.bench, c.place)
	} else {
		c.srv, err = startOwn(ctx, c.bench, c.place, c.name)
	}
	if err == nil {
		err = c.connect()
	}
	if err != nil {
		return err
	}
	defer c.link.close()
	if !c.place.disk {
		_, err = c.handle(scratch)
		return err
	}
	if _, err := c.handle(dirStore, storeName(0)); err != nil {
		return err
	}
	took := time.Since(began)
	_, peak := c.srv.memory()
	return errors.Join(
		c.note(result{row: timeRow, units: 1, wall: took, p50: took}),
		c.note(result{row: memoryRow, units: 1, wall: took, peak: peak}),
	)
}

// runRestart ends the server and starts it again: it has to know all handles again that it gave out.
func runRestart(c *contender) error {
	fh, err := c.handle(dirFlat, flatName(seventh))
	if err != nil {
		return err
	}
	c.srv.stop()
	if err := c.start(c.ctx, "restart", "idle-again"); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	defer c.link.close()
	return c.once(func(w *walker) error {
		_, err := w.getattr(fh)
		return err
	})
}

// available gives those of the named contenders that are to be had on this machine, and says
// why one is not.
func available(names []string, log io.Writer) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		if name != ganesha {
			return false
		}
		why := lacksGanesha(exec.LookPath)
		if why != "" {
			fmt.Fprintf(log, "bench: no nfs-ganesha: %s\n", why)
		}
		return why != ""
	})
}
