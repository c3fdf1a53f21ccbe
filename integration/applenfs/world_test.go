package applenfs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/applenfs"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/nfs"
)

// world is a server and two kernels that have it mounted. What is wrong is collected, and
// not an error of the test: that a broken server is found out is what is tested.
type world struct {
	*server
	clock *clock
	lost  *loser
	a, b  *applenfs.Mount
	found []string
}

// enough ends a scene that cannot go on.
type enough struct{}

func newWorld(t testing.TB, lowers int, wrap func(nfs.FS) nfs.FS) *world {
	t.Helper()
	return worldOf(t, newServer(t, lowers, wrap))
}

func worldOf(t testing.TB, s *server) *world {
	t.Helper()
	w := &world{server: s, clock: newClock()}
	w.lost = &loser{server: w.server}
	w.a = mount(t, applenfs.Options{Dial: w.lost.dial, Clock: w.clock})
	w.b = mount(t, applenfs.Options{Dial: w.dial, Clock: w.clock})
	return w
}

// play plays a scene and gives what was wrong.
func (w *world) play(scene func(*world)) []string {
	w.playOn(scene)
	for _, m := range []*applenfs.Mount{w.a, w.b} {
		if err := m.Unmount(); err != nil {
			w.wrong("unmount: %v", err)
		}
	}
	return slices.Concat(w.found, w.a.Notes(), w.b.Notes())
}

func (w *world) playOn(scene func(*world)) {
	defer func() {
		if r := recover(); r != nil && r != (enough{}) {
			panic(r)
		}
	}()
	scene(w)
}

func (w *world) wrong(format string, args ...any) {
	w.found = append(w.found, fmt.Sprintf(format, args...))
}

func (w *world) try(err error) {
	if err != nil {
		w.wrong("%v", err)
		panic(enough{})
	}
}

func (w *world) same(what string, got, want any) {
	if got != want {
		w.wrong("%s: got %v, want %v", what, got, want)
	}
}

func (w *world) refused(what string, err, want error) {
	if !errors.Is(err, want) {
		w.wrong("%s: got %v, want %v", what, err, want)
	}
}

// later lets so much time pass that directories are looked at again.
func (w *world) later() { w.clock.Sleep(61 * time.Second) }

// muchLater lets so much time pass that files are, too.
func (w *world) muchLater() { w.clock.Sleep(3601 * time.Second) }

// restart stops the server and starts another one.
func (w *world) restart() {
	w.stop()
	w.start()
}

func (w *world) put(m *applenfs.Mount, name, content string) {
	f, err := m.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	w.try(err)
	_, err = f.Write([]byte(content))
	w.try(errors.Join(err, f.Close()))
}

func (w *world) get(m *applenfs.Mount, name string) string {
	f, err := m.Open(name)
	w.try(err)
	got, err := io.ReadAll(f)
	w.try(errors.Join(err, f.Close()))
	return string(got)
}

func (w *world) content(m *applenfs.Mount, name, want string) {
	if got := w.get(m, name); got != want {
		w.wrong("%s: got %d bytes beginning with %.20q, want %d with %.20q", name, len(got), got, len(want), want)
	}
}

func (w *world) stat(m *applenfs.Mount, name string) nfsclient.Attr {
	info, err := m.Lstat(name)
	w.try(err)
	return info.Attr
}

// names are those in a directory, sorted.
func (w *world) names(m *applenfs.Mount, dir string) []string {
	entries, err := m.ReadDir(dir)
	w.try(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	return names
}

func (w *world) sameNames(m *applenfs.Mount, dir string, want []string) {
	want = slices.Sorted(slices.Values(want))
	if got := w.names(m, dir); !slices.Equal(got, want) {
		w.wrong("%s holds %d names %.100q, want %d %.100q", dir, len(got), got, len(want), want)
	}
}

// loser is a network that can lose replies.
type loser struct {
	*server
	mu     sync.Mutex
	proc   uint32
	armed  bool
	before func() // called when a reply has been lost
}

// next has the reply to the next call of a procedure lost, with the connection, and calls
// before once it is.
func (l *loser) next(proc uint32, before func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proc, l.armed, l.before = proc, true, before
}

func (l *loser) dial(ctx context.Context) (net.Conn, error) {
	nc, err := l.server.dial(ctx)
	return &losing{Conn: nc, loser: l}, err
}

// losing is one connection.
type losing struct {
	net.Conn
	*loser
	xid []byte // of the call whose reply is to be lost
}

// Write is given one record at a time. At fixed places of a call are its transaction id,
// program and procedure (RFC 5531 §9, behind the record's mark).
func (l *losing) Write(p []byte) (int, error) {
	const mark, program, procedure = 4, 16, 24
	l.mu.Lock()
	defer l.mu.Unlock()
	word := func(at int) uint32 { return binary.BigEndian.Uint32(p[at:]) }
	if l.armed && len(p) >= procedure+4 && word(program) == nfsclient.NFSProgram && word(procedure) == l.proc {
		l.armed, l.xid = false, bytes.Clone(p[mark:mark+4])
	}
	return l.Conn.Write(p)
}

func (l *losing) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.xid == nil || !bytes.Contains(p[:n], l.xid) {
		return n, err
	}
	l.xid = nil
	err = errors.Join(errors.New("reply was lost"), l.Conn.Close())
	if l.before != nil {
		l.before()
	}
	return 0, err
}
