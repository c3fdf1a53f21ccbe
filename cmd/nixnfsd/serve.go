package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/handover"
	"github.com/nixnfsd/nixnfsd/internal/peeruid"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// drainTime is how long requests may take that are under way when the server is
// asked to end. launchd kills after 20 s.
const drainTime = 15 * time.Second

type serveOptions struct {
	address
	dirOptions
	offerOptions
	logOptions
	readOnly bool
}

func newServeCommand() *cobra.Command {
	var opts serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a directory, to be mounted at /nix",
		Long: `Serve a directory over NFSv3, with read-only directories merged under it where
--lower names any. Directories that are not there are made. When the server is
ready it says so in one line, and prints the command that mounts it. It ends
upon SIGTERM or Ctrl-C, after it has answered what was asked. "nixnfsd restart"
puts another program in its place.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), &opts, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	opts.dirOptions.add(flags)
	opts.address.add(flags)
	flags.BoolVar(&opts.readOnly, "read-only", false, "let nothing be changed")
	opts.offerOptions.add(flags)
	opts.logOptions.add(flags)
	return cmd
}

// serve runs the server until ctx ends. The limit of open files needs no care:
// the Go runtime raises it to what the system allows at start.
func serve(ctx context.Context, opts *serveOptions, stdout, stderr io.Writer) error {
	syscall.Umask(0)               // modes are the client's business, which has applied its own
	signal.Ignore(syscall.SIGPIPE) // whoever read the log may be gone; the mount has to live
	twoAtLeast()
	d, err := newDaemon(opts, stdout, stderr)
	if handover.Rehearsing() {
		if err == nil {
			err = d.rehearse()
		}
		return err
	}
	from, fromErr := handover.Receive()
	if err = errors.Join(err, fromErr); err != nil {
		return errors.Join(err, from.Return(err))
	}
	return d.run(ctx, from)
}

// twoAtLeast has Go run as if there were two processors where there is one. While none of them
// is idle Go takes a processor away from each system call that lasts longer than 20 µs (retake in
// runtime/proc.go), and to hand it to another thread and back takes longer than most calls do.
func twoAtLeast() {
	if runtime.GOMAXPROCS(0) < 2 { // else it goes on following the machine, until it is set
		runtime.GOMAXPROCS(2)
	}
}

// daemon is what a process has beyond the server that it runs at the time.
type daemon struct {
	opts   *serveOptions
	addr   netip.AddrPort
	layout mount.Layout
	log    *logrus.Logger
	stdout io.Writer
	orders *orders
	meters *meters
}

func newDaemon(opts *serveOptions, stdout, stderr io.Writer) (*daemon, error) {
	addr, err := opts.address.parse()
	if err != nil {
		return nil, err
	}
	log, err := opts.logger(stderr)
	if err != nil {
		return nil, err
	}
	layout, err := opts.resolve(opts.export)
	if err != nil {
		return nil, err
	}
	d := &daemon{opts: opts, addr: addr, layout: layout, log: log, stdout: stdout, orders: newOrders(log)}
	d.meters, err = newMeters(&opts.offerOptions, layout, d.orders, log)
	return d, err
}

// run serves until ctx ends, or another program takes over.
func (d *daemon) run(ctx context.Context, from *handover.Bundle) error {
	for {
		s, err := d.open(ctx, from)
		if err != nil {
			return errors.Join(err, from.Return(err))
		}
		next, err := d.serve(ctx, s)
		err = errors.Join(err, s.close())
		if next == nil {
			return err
		}
		if err != nil {
			d.log.WithError(err).Warn("not all was closed before a restart")
		}
		d.exec(ctx, next)
		from = next.Bundle // it has not come about
	}
}

// server is one that runs.
type server struct {
	nfs      *nfs.Server
	fsys     *overlay.FS
	key      nfs.Key
	listener net.Listener
	done     chan error // gets what ended it
}

// open has a server go on where its predecessor ended, or begin.
func (d *daemon) open(ctx context.Context, from *handover.Bundle) (*server, error) {
	s := &server{done: make(chan error, 1)}
	err := d.openFiles(ctx, s, from)
	if err == nil {
		err = d.start(s)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if from == nil {
		d.orders.take(d.layout.State, nil)
		d.meters.take(ctx, nil)
		d.announce(s.listener)
	} else {
		d.orders.take(d.layout.State, from.Control)
		d.meters.take(ctx, from.Metrics)
		d.adopt(s, from)
	}
	where := layersAnswer{Address: s.listener.Addr().String(), Export: d.opts.export}
	d.orders.use(s, where, func(program string) error { return d.fits(program, s) })
	return s, nil
}

func (d *daemon) openFiles(ctx context.Context, s *server, from *handover.Bundle) (err error) {
	var locks []*os.File
	if from != nil {
		locks = from.Locks
		s.listener, err = net.FileListener(from.Listener)
	} else {
		s.listener, err = listen(ctx, d.addr)
	}
	if err == nil {
		s.fsys, err = d.openOverlay(locks)
	}
	return err
}

func (d *daemon) start(s *server) error {
	var err error
	if s.key, err = nfs.LoadKey(d.layout.State); err != nil {
		return fmt.Errorf("load the key of the file handles: %w", err)
	}
	replies, err := nfs.OpenReplies(d.layout.State, s.key)
	if err != nil {
		d.log.WithError(err).Warn("calls that are sent again after a restart may run twice")
	}
	s.nfs = nfs.New(nfs.Options{
		FS: s.fsys, Key: s.key, Export: d.opts.export, Owner: uint32(os.Getuid()), PeerUID: peeruid.Of, ShareRead: d.opts.shareRead,
		Replies: replies, Log: d.log,
	})
	go func() { s.done <- s.nfs.Serve(s.listener) }()
	return nil
}

// close gives up what was opened, after an end.
func (s *server) close() error {
	if s.listener != nil {
		s.listener.Close() // a second time, as a rule: Shutdown has done it
	}
	if s.fsys == nil {
		return nil
	}
	return s.fsys.Close()
}

// serve waits until ctx ends, or until another server is to follow.
func (d *daemon) serve(ctx context.Context, s *server) (*succession, error) {
	for {
		select {
		case err := <-s.done:
			d.orders.end(ctx)
			d.meters.end(ctx)
			return nil, fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
			return nil, d.drain(ctx, s)
		case order := <-d.orders.restarts:
			bundle, err := d.handOver(ctx, s)
			if err == nil {
				return &succession{bundle, order}, nil
			}
			order.failed <- err
		}
	}
}

// drain answers what is under way, and ends.
func (d *daemon) drain(ctx context.Context, s *server) error {
	d.log.Info("draining")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := s.nfs.Shutdown(ctx)
	d.orders.end(ctx)
	d.meters.end(ctx)
	if err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	d.log.Info("stopped")
	return nil
}

// listen names who has the port where the system tells.
func listen(ctx context.Context, addr netip.AddrPort) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr.String())
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by %s: stop it, or choose another port with --listen", addr, mount.ListenerAt(ctx, addr))
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on %s: %w; choose a port above 1023", addr, syscall.EACCES)
	case err != nil:
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

func (d *daemon) openOverlay(locks []*os.File) (*overlay.FS, error) {
	l := d.layout
	if err := makeDirs(l); err != nil {
		return nil, err
	}
	opts := d.overlayOptions()
	opts.Locks = locks
	opts.Warn = func(err error) { d.log.WithError(err).Warn("more memory than usual is in use") }
	fsys, err := overlay.Open(opts)
	return fsys, refusal(err, l)
}

func (d *daemon) overlayOptions() overlay.Options {
	l := d.layout
	return overlay.Options{Upper: l.Upper, Lowers: l.Lowers, Work: l.Work, State: l.State, ReadOnly: d.opts.readOnly}
}

// refusal says what to do about directories that cannot be opened.
func refusal(err error, l mount.Layout) error {
	var locked *overlay.LockedError
	var unfit *overlay.UnfitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &locked):
		return fmt.Errorf("%w: stop that server, or choose another directory with %s", err, flagOf(locked.Dir, l))
	case errors.As(err, &unfit) && unfit.Mend != "":
		return fmt.Errorf("%w: %s", err, unfit.Mend)
	case errors.As(err, &unfit) && errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: have its file system mounted writable, or choose another directory", err)
	case errors.As(err, &unfit) && errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: give a directory", err)
	case errors.As(err, &unfit) && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: choose a directory that is yours", err)
	case errors.As(err, &unfit):
		return fmt.Errorf("%w: choose a directory of yours on a local file system, such as ext4, xfs, btrfs or APFS", err)
	}
	return fmt.Errorf("open %s: %w", l.Upper, err)
}

// flagOf names the flag that gives a directory.
func flagOf(dir string, l mount.Layout) string {
	switch dir {
	case l.Work:
		return "--work"
	case l.State:
		return "--state"
	}
	return "--upper"
}

// announce says that the server is ready, how to mount it, and where its metrics are.
func (d *daemon) announce(listener net.Listener) {
	var b strings.Builder // in one write, for who waits for the first line
	addr := listener.Addr().(*net.TCPAddr).AddrPort()
	fmt.Fprintf(&b, "ready: %s is served on %s as %s\n", d.layout.Upper, addr, d.opts.export)
	target := mount.Target{Server: addr, Export: d.opts.export, ReadOnly: d.opts.readOnly}
	if command := mount.Command(runtime.GOOS, target); command != "" {
		fmt.Fprintf(&b, "mount it with: sudo %s\n", command)
	}
	if where := d.meters.where(); where != "" {
		fmt.Fprintf(&b, "metrics: %s\n", where)
	}
	_, _ = io.WriteString(d.stdout, b.String()) // nobody need be there to read it
}
