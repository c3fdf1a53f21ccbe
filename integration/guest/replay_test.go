//go:build linux

package guest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/mount"
)

const (
	// minCuts is how often a connection is cut at least, and cutsPerKill how often the
	// server is killed with it.
	minCuts     = 12
	cutsPerKill = 3
	// A connection gets replies to so many changes, and then none. It is cut when so many
	// are withheld: fewer than workers, of which half may wait for another's lock.
	changesPerCut = 50
	withheld      = 10
	replayWorkers = 24
)

// lossy forwards a client's connections to the server, and loses replies.
type lossy struct {
	t      *testing.T
	to     string
	l      net.Listener
	onCut  func(n int)
	served sync.WaitGroup

	mu    sync.Mutex
	open  map[net.Conn]struct{}
	tamed bool // nothing is lost any more
	cuts  int
	lost  int // replies to calls that change something
}

// startLossy listens until the test ends.
func startLossy(t *testing.T, to string, onCut func(n int)) *lossy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &lossy{t: t, to: to, l: l, onCut: onCut, open: map[net.Conn]struct{}{}}
	p.served.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.served.Wait()
	})
	return p
}

func (p *lossy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		p.served.Go(func() { p.forward(client.(*net.TCPConn)) })
	}
}

// forward is over when either side is, or when the connection is cut.
func (p *lossy) forward(client *net.TCPConn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return // the client comes again
	}
	defer server.Close()
	tamed := p.enter(client)
	defer p.leave(client)
	var changes sync.Map // XIDs
	go func() {
		defer server.Close()
		copyRecords(server, client, func(call []byte) bool {
			if isChange(call) {
				changes.Store(binary.BigEndian.Uint32(call), true)
			}
			return true
		})
	}()
	n, kept := 0, 0
	copyRecords(client, server, func(reply []byte) bool {
		if _, ok := changes.LoadAndDelete(binary.BigEndian.Uint32(reply)); ok {
			n++
		}
		if tamed || n <= changesPerCut {
			return true
		}
		kept++
		return false
	}, func() bool { return kept == withheld })
	if kept > 0 {
		_ = client.SetLinger(0) // the client is to see it at once
		client.Close()
		p.cut(n - changesPerCut)
	}
}

func (p *lossy) cut(lost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost += lost
	if p.cuts++; !p.tamed {
		p.onCut(p.cuts)
	}
}

// enter reports whether nothing may be lost on a new connection.
func (p *lossy) enter(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[client] = struct{}{}
	return p.tamed
}

func (p *lossy) leave(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, client)
}

// tame cuts the connections that are open for the last time.
func (p *lossy) tame() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tamed {
		return
	}
	p.tamed = true
	for c := range p.open {
		c.Close()
	}
}

func (p *lossy) count() (cuts, lost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts, p.lost
}

// copyRecords copies the records that pass, until one of the ends is.
func copyRecords(to io.Writer, from io.Reader, pass func([]byte) bool, end ...func() bool) {
	for {
		rec, err := oncrpc.ReadRecord(from, nil, 2<<20)
		if err != nil || len(rec) < 4 {
			return
		}
		if pass(rec) {
			if _, err := to.Write(oncrpc.AppendRecord(nil, rec)); err != nil {
				return
			}
		}
		if slices.ContainsFunc(end, func(is func() bool) bool { return is() }) {
			return
		}
	}
}

// isChange reports whether a call makes, removes or changes names, or is a SETATTR.
func isChange(rec []byte) bool {
	var c oncrpc.Call
	const nfs, setattr, create, link = 100003, 2, 8, 15
	return oncrpc.DecodeCall(&xdr.Decoder{B: rec}, &c) && c.Prog == nfs && (c.Proc == setattr || c.Proc >= create && c.Proc <= link)
}

// mountThrough mounts the server once more, through p, until the test ends.
func mountThrough(t *testing.T, p *lossy) string {
	t.Helper()
	dir, err := os.MkdirTemp(spec.Scratch, "mnt")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(p.l.Addr().String())
	args := mount.Args("linux", mount.Target{Server: addr, Export: spec.MountPoint})
	args[len(args)-1] = dir
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
		os.Remove(dir)
	})
	return dir
}

// TestReplays works over a connection that loses replies to changes and is cut, some times
// with the server killed: each system call succeeds, and does what it does once.
func TestReplays(t *testing.T) {
	replays(t, func() { Control(t, "restart") })
}

// TestReplaysAfterClock is TestReplays with the clock set, by more than calls are remembered
// for, while there is no server.
func TestReplaysAfterClock(t *testing.T) {
	testenv.Require(t, os.Getuid() == 0, "to set the clock takes root")
	start, ahead := time.Now(), time.Duration(0)
	set := func() { setClock(t, start.Add(time.Since(start)+ahead)) } // nobody sets Since
	t.Cleanup(func() { ahead = 0; set() })
	steps := []time.Duration{48 * time.Hour, -48 * time.Hour, 0}
	replays(t, func() {
		Control(t, "kill")
		steps, ahead = append(steps[1:], steps[0]), steps[0]
		set()
		Control(t, "start")
	})
}

func replays(t *testing.T, restart func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root mounts")
	}
	Mount(t)
	kills := 0
	p := startLossy(t, net.JoinHostPort("127.0.0.1", os.Getenv(spec.EnvPort)), func(n int) {
		if n%cutsPerKill == 0 {
			restart()
			kills++
		}
	})
	top := filepath.Join(mountThrough(t, p), "replays")
	rounds, err := replayWork(t, top, func() bool {
		cuts, _ := p.count()
		if cuts >= minCuts {
			p.tame()
		}
		return cuts >= minCuts
	})
	p.tame() // a worker may have failed before that
	if err != nil {
		t.Error(err)
	}
	cuts, lost := p.count()
	t.Logf("%d cuts, %d kills, %d replies lost, %d rounds", cuts, kills, lost, rounds)
	if err := os.RemoveAll(top); err != nil {
		t.Error(err)
	}
}

// replayWork has many work until it is enough, or one fails. Each has a directory of its own,
// so that it does not wait for others in the client's kernel; two have a lock in common.
func replayWork(t *testing.T, top string, enough func() bool) (rounds int64, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var workers sync.WaitGroup
	var done atomic.Int64
	errs := make([]error, replayWorkers)
	for i := range errs {
		own, shared := filepath.Join(top, fmt.Sprint("own", i)), filepath.Join(top, fmt.Sprint("shared", i/2))
		if err := errors.Join(os.MkdirAll(own, 0o755), os.MkdirAll(shared, 0o755)); err != nil {
			t.Fatal(err)
		}
		workers.Go(func() {
			for errs[i] == nil && ctx.Err() == nil {
				if errs[i] = replayRound(filepath.Join(own, "dir"), filepath.Join(shared, "lock")); errs[i] != nil || enough() {
					cancel()
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	return done.Load(), errors.Join(errs...)
}

// replayRound makes, changes and removes things of all kinds under dir, and once takes a
// lock that another worker wants too.
func replayRound(dir, lock string) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	steps := []struct {
		name string
		do   func() error
		want string // names in dir
	}{
		{"mkdir", func() error { return os.Mkdir(dir, 0o755) }, ""},
		{"create", func() error { return makeNew(at("a")) }, "a"},
		{"link", func() error { return os.Link(at("a"), at("b")) }, "a b"},
		{"lock", func() error { return takeLock(at("a"), lock) }, "a b"},
		{"rename", func() error { return os.Rename(at("b"), at("c")) }, "a c"},
		{"symlink", func() error { return os.Symlink("a", at("d")) }, "a c d"},
		{"mknod", func() error { return syscall.Mkfifo(at("e"), 0o644) }, "a c d e"},
		{"chmod", func() error { return os.Chmod(at("a"), 0o600) }, "a c d e"},
		{"rename over", func() error { return os.Rename(at("d"), at("e")) }, "a c e"},
		{"unlink", func() error { return os.Remove(at("e")) }, "a c"},
		{"mkdir below", func() error { return os.Mkdir(at("f"), 0o700) }, "a c f"},
		{"rename dir", func() error { return os.Rename(at("f"), at("g")) }, "a c g"},
		{"truncate", func() error { return os.Truncate(at("a"), 100) }, "a c g"},
		{"rmdir", func() error { return syscall.Rmdir(at("g")) }, "a c"},
		{"unlink", func() error { return os.Remove(at("c")) }, "a"},
		{"unlink", func() error { return os.Remove(at("a")) }, ""},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if got, err := namesIn(dir); err != nil || got != s.want {
			return fmt.Errorf("after %s: got the names %q, want %q, %w", s.name, got, s.want, err)
		}
	}
	return syscall.Rmdir(dir)
}

func makeNew(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// takeLock gives a file another name, which must be there once only, and takes it away. That
// another has it is no error.
func takeLock(file, lock string) error {
	err := os.Link(file, lock)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	mine, err := os.Lstat(file)
	if err != nil {
		return err
	}
	got, err := os.Lstat(lock)
	if err != nil || !os.SameFile(got, mine) {
		return fmt.Errorf("the lock is another's: %w", err)
	}
	return os.Remove(lock)
}

func namesIn(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " "), err
}
