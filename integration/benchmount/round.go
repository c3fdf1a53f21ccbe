package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
)

// The environment of the guest's part.
const (
	envRound   = "NIXNFSD_BENCH_ROUND" // which round it is, from 0
	envProgram = "NIXNFSD_BENCH_PROGRAM"
)

// user is the ordinary user in the guest, whose home has the input.
const user = 1000

// resultsFile is what the guest leaves to the host.
const resultsFile = "results.json"

// guest is the guest's part: one round.
type guest struct {
	*options
	home       string
	contenders []contender
	log        io.Writer

	rpcbind, knfsd bool // are there
	exports        int  // of the kernel's server
}

// result is what one operation took on one contender.
type result struct {
	Operation, Contender string
	Seconds              float64          // by the guest's clock
	CPU                  float64          // of the server, in seconds
	Calls                map[string]calls // by procedure
}

type results []result

func runRound(ctx context.Context, o *options, log io.Writer) error {
	round, err := strconv.Atoi(os.Getenv(envRound))
	if err != nil {
		return err
	}
	g := &guest{options: o, home: filepath.Join(spec.Home, fmt.Sprint(user)), log: log}
	g.contenders = slices.DeleteFunc(allContenders(), func(c contender) bool {
		return c.name != nixnfsd && !among(o.peers, c.name)
	})
	if err := g.prepare(ctx); err != nil {
		return err
	}
	var found results
	for i, op := range chosen(o.only) {
		for k := range g.contenders {
			c := &g.contenders[(i+round+k)%len(g.contenders)]
			r, err := g.measure(ctx, &op, c)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", c.name, op.name, err)
			}
			found = append(found, r)
		}
	}
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(spec.Out, resultsFile), text, 0o644)
}

func readResults(file string) (found results, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return found, json.Unmarshal(text, &found)
}

// prepare makes the input, and starts the servers.
func (g *guest) prepare(ctx context.Context) error {
	if err := g.makeInput(ctx); err != nil {
		return fmt.Errorf("make the input: %w", err)
	}
	if err := command(ctx, "modprobe", "loop"); err != nil {
		return err
	}
	for i := range g.contenders {
		c := &g.contenders[i]
		if err := c.makeDisk(ctx); err != nil {
			return err
		}
		if c.start == nil {
			continue
		}
		if err := errors.Join(c.start(ctx, g, c), c.await(ctx)); err != nil {
			return fmt.Errorf("start %s: %w", c.name, err)
		}
	}
	return nil
}

// measure has an operation done on a contender.
func (g *guest) measure(ctx context.Context, op *operation, c *contender) (result, error) {
	if op.prepare != "" {
		if err := g.mounted(ctx, c, func() error { return g.shell(ctx, op.prepare) }); err != nil {
			return result{}, fmt.Errorf("prepare: %w", err)
		}
	}
	if err := command(ctx, "sync"); err != nil { // what others left to write is not for this one to wait for
		return result{}, err
	}
	r := result{Operation: op.name, Contender: c.name}
	err := g.mounted(ctx, c, func() error {
		cpu, start := c.processorTime(), time.Now()
		if err := g.shell(ctx, op.script); err != nil {
			return err
		}
		r.Seconds, r.CPU = time.Since(start).Seconds(), c.processorTime()-cpu
		var err error
		r.Calls, err = mountCalls(spec.MountPoint)
		return err
	})
	fmt.Fprintf(g.log, "%-12s %-12s %7.2f s\n", op.name, c.name, r.Seconds)
	return r, err
}

// mounted does something while a contender is at /nix.
func (g *guest) mounted(ctx context.Context, c *contender, do func() error) error {
	if err := c.mount(ctx, g.options.mount); err != nil {
		return err
	}
	return errors.Join(do(), unmount(ctx))
}

// nixConfig has Nix work without root, without the net and alone.
const nixConfig = "sandbox = false\nbuild-users-group =\nsubstituters =\n"

// shell runs a script as the user, in his home.
func (g *guest) shell(ctx context.Context, script string) error {
	cmd := exec.CommandContext(ctx, "sh", "-ec", script)
	cmd.Dir = g.home
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + g.home, "USER=user", "LC_ALL=C", "NIX_CONFIG=" + nixConfig, "NIX_PATH=",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=user", "GIT_AUTHOR_EMAIL=user@example.org",
		"GIT_COMMITTER_NAME=user", "GIT_COMMITTER_EMAIL=user@example.org",
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	var errors strings.Builder
	cmd.Stderr = &errors // what it prints is not looked at, so that it is not waited for either
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", script, err, errors.String())
	}
	return nil
}
