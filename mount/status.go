package mount

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// SchemaVersion is the version of Status as JSON. It grows when a field changes
// its meaning or goes; new fields may come without.
const SchemaVersion = 1

// State is the short answer.
type State string

// The values of State.
const (
	// Mounted is a mount of our server's. It is usable when Problems is empty.
	Mounted State = "mounted"
	// NotMounted is a server that answers and has not been mounted.
	NotMounted State = "not-mounted"
	// NotRunning is no server and no mount.
	NotRunning State = "not-running"
	// MountedElsewhere is something else at the mount point, which lives, or a server of
	// another user's at the address that it is mounted from.
	MountedElsewhere State = "mounted-elsewhere"
	// DeadMount is an NFS mount, ours or not, whose server is gone: it hangs
	// whoever touches it.
	DeadMount State = "dead-mount"
)

// Status is what there is to see of a server and its mount.
type Status struct {
	SchemaVersion int       `json:"schemaVersion"`
	State         State     `json:"state"`
	Summary       string    `json:"summary"`
	Server        Server    `json:"server"`
	MountPoint    string    `json:"mountPoint"`
	Mount         *Mount    `json:"mount"` // null: nothing is mounted there
	Problems      []Problem `json:"problems"`
}

// Server is what answers at the address.
type Server struct {
	Address string `json:"address"`
	Up      bool   `json:"up"`              // it answers RPC
	Error   string `json:"error,omitempty"` // what did not go well
}

// Mount is what the mount table holds at the mount point.
type Mount struct {
	From    string   `json:"from"`
	Type    string   `json:"type"`
	Server  string   `json:"server,omitempty"` // address, of NFS and where known
	Options []string `json:"options"`
}

// Problem is one thing that is wrong, and how to mend it.
type Problem struct {
	Name string `json:"name"` // one of those below
	What string `json:"what"`
	Mend string `json:"mend"`
}

// The names of problems. They stay as they are: programs look for them.
const (
	ServerDown         = "server-down"
	PortTaken          = "port-taken"
	ServerRefuses      = "server-refuses"
	NotMountedYet      = "not-mounted"
	NoMountPoint       = "no-mount-point"
	NoMountHelper      = "no-mount-helper"
	MountDead          = "mount-dead"
	MountSilent        = "mount-silent"
	MountStale         = "mount-stale"
	MountsStacked      = "mounts-stacked"
	MountedOver        = "mounted-elsewhere"
	OtherMountDead     = "other-mount-dead"
	MountOfAnotherUser = "mount-of-another-user"
	MountSoft          = "mount-soft"
	MountNoExec        = "mount-noexec"
	MountLocks         = "mount-locks"
	MountQuarantine    = "mount-quarantine"
	PrivacyRefused     = "privacy-refused"
)

// OK reports whether the mount is ours and usable.
func (s *Status) OK() bool { return s.State == Mounted && len(s.Problems) == 0 }

// Checker looks at a server and its mount from outside.
type Checker struct {
	Addr   netip.AddrPort // where the server listens
	Export string         // its export, and the mount point
	// Stat looks at directories in a child process; see StatInChild.
	Stat StatFunc
	// Limit is how long each look may take. Zero is three seconds.
	Limit time.Duration

	// What the system is asked; tests say it themselves.
	table   func() ([]Entry, error)
	options func(ctx context.Context, e *Entry) ([]string, error)
	goos    string
	helper  func() bool
}

const defaultLimit = 3 * time.Second

// observation is what was seen.
type observation struct {
	target Target
	goos   string
	server error  // of the probe; nil: all well
	entry  *Entry // at the mount point
	ours   bool   // entry is a mount of our server's
	// stacked is how many other mounts of our server's lie beneath entry.
	stacked int
	other   error  // what another NFS server of entry answers; nil: it lives
	stat    error  // of the mount point, where it was safe to look
	holder  Holder // who has the port, when server is ErrNoAnswer
	self    int    // uid of who looks
	// noHelper: the system lacks the program that mount(8) runs for NFS.
	noHelper bool
}

// Check looks once. An error is only what keeps it from looking at all.
func (c *Checker) Check(ctx context.Context) (Status, error) {
	o := observation{target: Target{Server: c.Addr, Export: c.Export}, goos: c.system(), holder: unknownHolder, self: os.Getuid()}
	var err error
	if o.entry, o.stacked, err = c.find(ctx); err != nil {
		return Status{}, err
	}
	o.server = c.limited(ctx, func(ctx context.Context) error { return Probe(ctx, c.Addr, c.Export) })
	o.ours = o.entry != nil && o.target.Is(o.entry)
	if errors.Is(o.server, ErrNoAnswer) {
		o.holder = ListenerAt(ctx, c.Addr)
	}
	if o.entry != nil && !o.ours && o.entry.NFS() && o.entry.Server().Port() != 0 {
		o.other = c.limited(ctx, func(ctx context.Context) error { return ping(ctx, o.entry.Server()) })
	}
	if !errors.Is(o.server, ErrNoAnswer) && (o.entry == nil || o.ours) {
		o.stat = c.limited(ctx, func(ctx context.Context) error { return c.Stat(ctx, c.Export) })
	}
	o.noHelper = o.entry == nil && !c.hasHelper()
	return judge(&o), ctx.Err()
}

// hasHelper reports whether mount(8) of Linux can mount NFS. macOS brings what it needs.
func (c *Checker) hasHelper() bool {
	if c.helper != nil {
		return c.helper()
	}
	_, err := os.Stat("/sbin/mount.nfs") // where mount(8) looks for it
	return c.system() != "linux" || err == nil
}

// Wait blocks until the mount is usable. When ctx ends first, the error says
// its cause, what was still wrong and how to begin to mend it: a deadline does not cut the
// first look short, whose parts take no longer than Limit each.
func (c *Checker) Wait(ctx context.Context) error {
	const pause = 200 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	first, cancel := withoutDeadline(ctx)
	defer cancel()
	s, err := c.Check(first)
	last := "nothing was seen yet"
	for ; ; s, err = c.Check(ctx) {
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil && s.OK() {
			return nil
		}
		if err == nil {
			last = s.hint()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), last)
		case <-tick.C:
		}
	}
}

// withoutDeadline gives a context that ends when ctx is cancelled, and not for its deadline.
func withoutDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			cancel()
		}
	})
	return patient, func() { stop(); cancel() }
}

// hint says in one line how things are and how to mend the first problem, which is named
// where the summary does not.
func (s *Status) hint() string {
	if len(s.Problems) == 0 {
		return s.Summary
	}
	p := s.Problems[0]
	if strings.Contains(s.Summary, p.What) {
		return s.Summary + "; " + p.Mend
	}
	return s.Summary + "; " + p.What + ": " + p.Mend
}

func (c *Checker) system() string {
	if c.goos != "" {
		return c.goos
	}
	return runtime.GOOS
}

func (c *Checker) limited(ctx context.Context, look func(context.Context) error) error {
	limit := c.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return look(ctx)
}

// find gives the mount at the mount point with all that can be known of it, and how many others
// of our server's lie beneath it.
func (c *Checker) find(ctx context.Context) (e *Entry, beneath int, err error) {
	table, options := c.table, c.options
	if table == nil {
		table, options = Table, nfsOptions
	}
	entries, err := table()
	if err != nil {
		return nil, 0, err
	}
	e = Find(entries, c.Export)
	for i := range entries {
		if at := &entries[i]; at != e && at.Dir == c.Export && (Target{Server: c.Addr, Export: c.Export}).Is(at) {
			beneath++
		}
	}
	if e == nil || !e.NFS() || options == nil {
		return e, beneath, nil
	}
	more := *e
	err = c.limited(ctx, func(ctx context.Context) error {
		list, err := options(ctx, e)
		more.Options = union(slices.Clone(e.Options), list)
		return err
	})
	if err != nil {
		return e, beneath, nil // less is known, and the state is still right
	}
	return &more, beneath, nil
}
