package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfstree"
	"github.com/nixnfsd/nixnfsd/internal/setup"
)

// storeAccess is a way into a store by the server that has it, mounted or not. Where none runs one runs
// in this process meanwhile: only a server writes in its upper, and what uses it is the same for both.
type storeAccess struct {
	tree    *nfstree.Tree
	running bool // the server is not in this process
	where   layersAnswer
	state   string
	close   func() error // may be called again
}

// reach gives access to the store, to one process at a time.
func (o *dirOptions) reach(ctx context.Context, stderr io.Writer) (*storeAccess, error) {
	a := &storeAccess{running: true}
	var closers []func() error
	a.close = sync.OnceValue(func() error {
		var err error
		for i := range closers {
			err = errors.Join(err, closers[len(closers)-1-i]())
		}
		return err
	})
	if err := refuseSudo(); err != nil {
		return nil, err
	}
	err := o.order(ctx, http.MethodGet, layersPath, &a.where)
	if exitCode(err) == exitNotRunning {
		a.running = false
		var end func() error
		end, err = o.serveHere(ctx, a, stderr)
		closers = append(closers, end)
	}
	if err == nil {
		a.state, err = o.stateDir()
	}
	if err == nil {
		err = a.lock(&closers)
	}
	if err == nil {
		a.tree, err = nfstree.Dial(ctx, a.where.Address, a.where.Export)
	}
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	closers = append(closers, a.tree.Close)
	return a, nil
}

// addVarFlag adds the flag that says where /nix/var is.
func addVarFlag(flags *pflag.FlagSet, dir *string) {
	flags.Var((*dirFlag)(dir), "var", "`DIR` that /nix/var is to lead to, outside of the mount (default: on macOS in the user's data directory)")
}

// apart is where /nix/var is outside of the mount, absolute; empty: it is in the mount. SQLite has no
// shared memory on macOS's NFS.
func (o *dirOptions) apart(given string) (string, error) {
	if given == "" && runtime.GOOS != "darwin" {
		return "", nil
	}
	p, err := o.places()
	if err != nil {
		return "", err
	}
	if given == "" {
		given = filepath.Join(p.data, "var")
	}
	return filepath.Abs(given)
}

// receipt is the user's.
func (o *dirOptions) receipt() (string, error) {
	p, err := o.places()
	return (&setup.Config{State: p.state}).UserReceipt(), err
}

// goesOn says of what ended the filling of a store what to do about it: the next run goes on.
func goesOn(err error, ended string) error {
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New(ended + ": run it again, and it goes on")
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: make room on the disk of the store, and run this again", err)
	}
	return err
}

// serveHere runs a server in this process, on a port that nobody knows.
func (o *dirOptions) serveHere(ctx context.Context, a *storeAccess, stderr io.Writer) (end func() error, err error) {
	umask := syscall.Umask(0) // as serve has it
	opts := &serveOptions{
		address: address{listen: "127.0.0.1:0", export: defaultExport}, dirOptions: *o,
		logOptions: logOptions{level: "warn", format: "text"},
	}
	d, err := newDaemon(opts, io.Discard, stderr)
	var s *server
	if err == nil {
		s, err = d.open(ctx, nil)
	}
	end = func() error {
		defer syscall.Umask(umask)
		if s == nil {
			return nil
		}
		return errors.Join(d.drain(context.WithoutCancel(ctx), s), s.close())
	}
	if err == nil {
		a.where = layersAnswer{Address: s.listener.Addr().String(), Export: opts.export}
	}
	return end, err
}

// lock keeps others from filling the same store.
func (a *storeAccess) lock(closers *[]func() error) error {
	f, err := os.OpenFile(filepath.Join(a.state, "filling"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	*closers = append(*closers, f.Close)
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("another bootstrap or import fills this store (%w): wait for its end", err)
	}
	return nil
}
