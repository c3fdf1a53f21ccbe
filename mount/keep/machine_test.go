package keep

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nixnfsd/nixnfsd/mount"
)

const (
	grace   = time.Minute
	ownerID = 1000
	otherID = 1001
)

// machine stands in for the kernel and for mount(8). Its time is that of synctest.
type machine struct {
	mu      sync.Mutex
	server  server
	mute    bool // what listens takes connections and does not answer
	busy    bool // a process sits in the mount
	hung    bool // a gentle umount does not come back while the server is gone
	stale   bool // the server does not know the mount
	broken  error
	pause   time.Duration // what the next look at the table takes: the keeper does not run
	mounts  []mount.Entry
	ran     []string // commands, without their options
	reports []string
}

func target() mount.Target {
	return mount.Target{Server: netip.MustParseAddrPort(mount.DefaultListen), Export: mount.DefaultExport}
}

// start runs a keeper until the test ends.
func (m *machine) start(t *testing.T) *Keeper {
	t.Helper()
	if len(mount.Args(runtime.GOOS, target())) == 0 {
		t.Skip("no mount command is known for this system")
	}
	k := New(Options{Target: target(), Owner: ownerID, Grace: grace, Stat: m.stat, Report: m.report})
	k.system = system{table: m.table, answers: m.answers, checkPoint: func(string) error { return nil }, run: m.run, users: m.users}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { k.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return k
}

func (m *machine) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// after lets time go by, and gives the commands that were run in it.
func (m *machine) after(d time.Duration) (ran []string) {
	time.Sleep(d)
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	ran, m.ran = m.ran, nil
	return ran
}

func (m *machine) table() ([]mount.Entry, error) {
	m.mu.Lock()
	pause := m.pause
	m.pause = 0
	m.mu.Unlock()
	time.Sleep(pause)
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mounts), nil
}

func (m *machine) answers(_ context.Context, _ netip.AddrPort, _ uint32, limit time.Duration) error {
	m.mu.Lock()
	s, mute := m.server, m.mute
	m.mu.Unlock()
	if mute {
		time.Sleep(2 * limit)
	}
	switch {
	case s == stranger:
		return &mount.StrangerError{UID: otherID}
	case s == own && !mute:
		return nil
	}
	return fmt.Errorf("%w: connection refused", mount.ErrNoAnswer)
}

func (m *machine) stat(context.Context, ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stale {
		return errors.New("stat /nix: " + syscall.ESTALE.Error())
	}
	return nil
}

func (m *machine) report(what string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		what += ": " + err.Error()
	}
	m.reports = append(m.reports, what)
}

// run is what mount_nfs, mount(8) and umount(8) do.
func (m *machine) run(ctx context.Context, argv []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !strings.HasSuffix(argv[0], "umount") {
		m.ran = append(m.ran, "mount")
		if m.broken == nil {
			m.mounts = append(m.mounts, entry(target()))
		}
		return m.broken
	}
	force := slices.Contains(argv, "-f")
	m.ran = append(m.ran, map[bool]string{false: "umount", true: "umount -f"}[force])
	switch {
	case !force && m.hung && m.server != own:
		m.mu.Unlock()
		<-ctx.Done()
		m.mu.Lock()
		return ctx.Err()
	case !force && m.busy:
		return errors.New("target is busy")
	}
	m.mounts = m.mounts[:len(m.mounts)-1]
	m.stale = false
	return nil
}

func (m *machine) users(string, int) []mount.Holder {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy {
		return []mount.Holder{{PID: 7, Name: "sh"}, {PID: 8, Name: "nix"}}
	}
	return nil
}

func entry(t mount.Target) mount.Entry {
	return mount.Entry{
		Dir: t.At(), Type: "nfs", From: t.Server.Addr().String() + ":" + t.Export,
		Options: []string{"vers=3", fmt.Sprintf("port=%d", t.Server.Port())},
	}
}
