package applenfs_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/applenfs"
	"github.com/nixnfsd/nixnfsd/integration/testserver"
	mounting "github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// clock stands still until it is told to go on.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// settings are the options with which nixnfsd has macOS mount it.
func settings(t testing.TB) string {
	t.Helper()
	args := mounting.Args("darwin", mounting.Target{Server: netip.MustParseAddrPort("127.0.0.1:12049"), Export: testserver.Export})
	at := slices.Index(args, "-o")
	if at < 0 {
		t.Fatalf("no options in %q", args)
	}
	return args[at+1]
}

// server is a server in this process, on an overlay of real directories.
type server struct {
	t    testing.TB
	o    overlay.Options
	wrap func(nfs.FS) nfs.FS // between server and overlay, when it is set
	fsys *overlay.FS
	addr string
	stop func()
}

// newServer serves an empty directory, over lower ones that hold something.
func newServer(t testing.TB, lowers int, wrap func(nfs.FS) nfs.FS) *server {
	t.Helper()
	return newServerOn(t, t.TempDir(), lowers, wrap)
}

// newServerOn has the upper on a volume.
func newServerOn(t testing.TB, volume string, lowers int, wrap func(nfs.FS) nfs.FS) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{t: t, wrap: wrap, o: overlay.Options{Upper: filepath.Join(volume, "upper"), State: filepath.Join(dir, "state")}}
	makeDir(t, s.o.Upper, 0o755)
	makeDir(t, s.o.State, 0o700)
	for i := range lowers {
		s.o.Lowers = append(s.o.Lowers, makeLower(t, dir, i))
	}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func makeDir(t testing.TB, dir string, mode os.FileMode) {
	t.Helper()
	if err := os.Mkdir(dir, mode); err != nil {
		t.Fatal(err)
	}
}

// makeLower makes a lower directory with a file and a directory, which all of them have.
func makeLower(t testing.TB, dir string, i int) string {
	t.Helper()
	lower := filepath.Join(dir, "lower"+string(rune('0'+i)))
	makeDir(t, lower, 0o755)
	makeDir(t, filepath.Join(lower, "below"), 0o755)
	name := string(rune('a' + i))
	for _, file := range []string{name, "below/" + name} {
		if err := os.WriteFile(filepath.Join(lower, file), []byte("lower "+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return lower
}

func (s *server) start() {
	s.t.Helper()
	fsys, err := overlay.Open(s.o)
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := nfs.LoadKey(s.o.State)
	if err != nil {
		s.t.Fatal(err)
	}
	s.fsys = fsys
	var served nfs.FS = fsys
	if s.wrap != nil {
		served = s.wrap(fsys)
	}
	local, err := testserver.Serve(nfs.Options{FS: served, Key: key})
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = local.Addr
	s.stop = func() {
		if err := errors.Join(local.Stop(), fsys.Close()); err != nil {
			s.t.Errorf("stop the server: %v", err)
		}
	}
}

// dial connects to where the server is now.
func (s *server) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", s.addr)
}

// mount mounts a server as nixnfsd has macOS do it.
func mount(t testing.TB, o applenfs.Options) *applenfs.Mount {
	t.Helper()
	o.Export, o.Settings, o.UID, o.GID = testserver.Export, settings(t), uint32(os.Getuid()), uint32(os.Getgid())
	if o.Clock == nil {
		o.Clock = newClock()
	}
	m, err := applenfs.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// unnoted fails the test for what Apple's client would have kept to itself.
func unnoted(t testing.TB, m *applenfs.Mount) {
	t.Helper()
	for _, note := range m.Notes() {
		t.Errorf("hidden from programs: %s", note)
	}
}
