package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/keep"
)

// The orders that a keeper takes.
const (
	keeperPath  = "/v1/keeper"
	mountPath   = "/v1/keeper/mount"
	unmountPath = "/v1/keeper/unmount"
)

// unmountArg is the argument of an order to unmount.
type unmountArg struct {
	Force bool `json:"force"`
}

// endTime is what an order under way gets when the keeper is asked to end.
const endTime = 5 * time.Second

// keeperOptions are the flags that a keeper is found by.
type keeperOptions struct{ owner, socket string }

func (o *keeperOptions) add(flags *pflag.FlagSet, owner string) {
	flags.StringVar(&o.owner, "owner", "", owner)
	flags.Var((*dirFlag)(&o.socket), "socket", "`DIR` of the socket by which the owner gives orders (default: nixnfsd-UID in /run, on macOS in /var/run)")
}

// uid is the owner's.
func (o *keeperOptions) uid() (uint32, error) {
	number := o.owner
	if u, err := user.Lookup(o.owner); err == nil {
		number = u.Uid
	}
	uid, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, usage(fmt.Errorf("--owner %q: there is no such user", o.owner))
	}
	return uint32(uid), nil
}

func (o *keeperOptions) dir(owner uint32) string {
	if o.socket != "" {
		return o.socket
	}
	return keep.Dir(runtime.GOOS, owner)
}

type keepOptions struct {
	keeperOptions
	address
	logOptions
	point string
	grace time.Duration
}

func newKeepCommand() *cobra.Command {
	var opts keepOptions
	cmd := &cobra.Command{
		Use:   "keep",
		Short: "Mount and unmount as a user's server comes and goes, as root",
		Long: `Keep a user's server mounted while it runs, and unmount it when it has been gone
for the grace time, by force at last, so that nobody hangs for ever. Only a
server of that user's is mounted, by what the kernel says of whose it is. He
can have it unmounted and mounted with "nixnfsd umount" and "nixnfsd mount".

This is the one part that runs as root, and all that it does is that. It takes
nothing but these flags, and ends upon SIGTERM, leaving the mount as it is.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return opts.keep(cmd.Context(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	opts.keeperOptions.add(flags, "the `USER`, by name or uid, whose server it is")
	flags.StringVar(&opts.listen, "listen", defaultListen, "loopback `ADDRESS:PORT` of the server")
	flags.StringVar(&opts.export, "export", defaultExport, "`PATH` that it exports")
	flags.StringVar(&opts.point, "mount-point", "", "`DIR` to mount it on (default: the export's path)")
	flags.DurationVar(&opts.grace, "grace", time.Minute, "how `LONG` a mount may hang whose server is gone")
	opts.logOptions.add(flags)
	return cmd
}

// options checks the flags.
func (o *keepOptions) options() (keep.Options, error) {
	if o.owner == "" {
		return keep.Options{}, usage(errors.New("--owner: say whose server it is"))
	}
	owner, err := o.uid()
	if err != nil {
		return keep.Options{}, err
	}
	point := address{listen: o.listen, export: o.point}
	if err := point.checkExport(); o.point != "" && err != nil {
		return keep.Options{}, usage(fmt.Errorf("--mount-point %q: %w", o.point, err))
	}
	if o.grace < keep.MinGrace {
		return keep.Options{}, usage(fmt.Errorf("--grace %s: give %s at least", o.grace, keep.MinGrace))
	}
	checker, err := o.checker()
	if err != nil {
		return keep.Options{}, err
	}
	target := mount.Target{Server: checker.Addr, Export: o.export, Point: o.point}
	return keep.Options{Target: target, Owner: owner, Grace: o.grace, Stat: checker.Stat}, nil
}

// keep runs the keeper until ctx ends.
func (o *keepOptions) keep(ctx context.Context, stderr io.Writer) error {
	opts, err := o.options()
	if err != nil {
		return err
	}
	log, err := o.logger(stderr)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("only root may mount: run: sudo nixnfsd keep --owner %s", o.owner)
	}
	listener, unlock, err := keep.Listen(o.dir(opts.Owner), opts.Owner)
	if err != nil {
		return err
	}
	opts.Report = func(what string, err error) { logKeeper(log.WithField("op", what), err) }
	keeper := keep.New(opts)
	out := log.WriterLevel(logrus.ErrorLevel)
	server := control.New(keeperOrders(keeper), stdlog.New(out, "", 0))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	keeper.Run(ctx)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	err = server.Shutdown(end)
	<-served // ends with Shutdown
	return errors.Join(err, out.Close(), unlock())
}

func logKeeper(log *logrus.Entry, err error) {
	if err != nil {
		log.WithError(err).Warn("failed")
		return
	}
	log.Info("done")
}

func keeperOrders(k *keep.Keeper) control.Orders {
	return control.Orders{
		"GET " + keeperPath: func(ctx context.Context, _ json.RawMessage) (any, error) { return k.Status(ctx) },
		"POST " + mountPath: func(ctx context.Context, _ json.RawMessage) (any, error) { return k.Mount(ctx) },
		"POST " + unmountPath: func(ctx context.Context, b json.RawMessage) (any, error) {
			var arg unmountArg
			if err := json.Unmarshal(b, &arg); err != nil {
				return nil, fmt.Errorf("the order's argument is not understood: %w", err)
			}
			return k.Unmount(ctx, arg.Force)
		},
	}
}

// order gives the keeper an order.
func (o *keeperOptions) order(ctx context.Context, path string, arg any) (keep.Status, error) {
	return o.ask(ctx, http.MethodPost, path, arg)
}

// ask gives the keeper an order, or has it say how things are.
func (o *keeperOptions) ask(ctx context.Context, method, path string, arg any) (s keep.Status, err error) {
	owner := uint32(os.Getuid())
	if o.owner != "" {
		if owner, err = o.uid(); err != nil {
			return s, err
		}
	}
	dir := o.dir(owner)
	err = control.Call(ctx, dir, method, path, arg, &s)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		err = &exitError{exitNotRunning, fmt.Errorf("no keeper has %s: have root start one with nixnfsd keep --owner %d, or give the --owner or --socket that it was given", dir, owner)}
	case errors.Is(err, os.ErrPermission):
		err = fmt.Errorf("%w: the keeper takes orders of the mount's owner and root alone", err)
	}
	return s, err
}
