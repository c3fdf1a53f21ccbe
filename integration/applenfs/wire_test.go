package applenfs_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/applenfs"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// busy is a file system that cannot do a few SETATTRs yet.
type busy struct {
	nfs.FS
	mu   sync.Mutex
	left int
}

func (b *busy) Setattr(c overlay.Caller, id overlay.ID, s *overlay.SetAttr, w *overlay.Change) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left > 0 {
		b.left--
		return syscall.EAGAIN
	}
	return b.FS.Setattr(c, id, s, w)
}

// TestJukebox waits 4, 8, 16 and 30 seconds, of a clock that nobody waits for.
func TestJukebox(t *testing.T) {
	at := newClock()
	m := mount(t, applenfs.Options{Clock: at, Dial: newServer(t, 0, func(f nfs.FS) nfs.FS { return &busy{FS: f, left: 5} }).dial})
	before := at.Now()
	if err := errors.Join(m.Chmod("", 0o700), m.Unmount()); err != nil {
		t.Fatal(err)
	}
	if got, want := at.Now().Sub(before), (4+8+16+30+30)*time.Second; got != want {
		t.Errorf("waited %v, want %v", got, want)
	}
	unnoted(t, m)
}

// TestKernelCalls has the kernel's own calls answered, which come from uid 0, and UMNT in
// version 1 of MOUNT.
func TestKernelCalls(t *testing.T) {
	w := newWorld(t, 0, nil)
	for range 3 {
		w.try(w.a.Monitor())
	}
	w.try(w.a.Cut())
	w.try(w.a.Monitor())
	w.same("connections", w.a.Connections(), 2)
	for _, wrong := range w.play(func(*world) {}) {
		t.Error(wrong)
	}
}

// TestAttributeTimes lets time pass, and looks when the client asks for attributes again.
func TestAttributeTimes(t *testing.T) {
	w := newWorld(t, 0, nil)
	w.put(w.a, "f", "x")
	w.try(w.a.Mkdir("d", 0o755))
	tt := []struct {
		name string
		age  time.Duration // since the last change, when the client asks first
		want time.Duration // until it asks again
	}{
		{"f", 0, 60 * time.Second},
		{"f", time.Hour, 399 * time.Second}, // a tenth of the age, which has grown by then
		{"f", 30 * 24 * time.Hour, time.Hour},
		{"d", 0, time.Second},
		{"d", 5 * time.Minute, 33 * time.Second},
		{"d", 30 * 24 * time.Hour, time.Minute},
		{"", 0, time.Second},
		{"", 30 * 24 * time.Hour, 5 * time.Second},
	}
	for _, tt := range tt {
		w.clock.Sleep(2 * time.Hour)
		mtime := w.clock.Now().Add(-tt.age)
		w.try(w.a.Chtimes(tt.name, mtime, mtime))
		f, err := w.b.Open(tt.name)
		w.try(err)
		w.clock.Sleep(tt.want - time.Second)
		if w.asks(f) {
			t.Errorf("%q, %v old, is asked for after %v", tt.name, tt.age, tt.want-time.Second)
		}
		w.clock.Sleep(time.Second)
		if !w.asks(f) {
			t.Errorf("%q, %v old, is not asked for after %v", tt.name, tt.age, tt.want)
		}
		w.try(f.Close())
	}
	for _, wrong := range w.play(func(*world) {}) {
		t.Error(wrong)
	}
}

// asks says whether the client asks for attributes when it should tell them.
func (w *world) asks(f *applenfs.File) bool {
	before := w.b.Calls()["GETATTR"]
	_, err := f.Stat()
	w.try(err)
	return w.b.Calls()["GETATTR"] > before
}

// TestCompanions is what macOS does to AppleDouble files on every server without extended
// attributes: each goes the way of the file that it is named after.
func TestCompanions(t *testing.T) {
	for _, wrong := range newWorld(t, 0, nil).play(companions) {
		t.Error(wrong)
	}
}

func companions(w *world) {
	w.put(w.a, "f", "x")
	w.put(w.a, "._f", "of f")
	w.refused("link", w.a.Link("._f", "g"), syscall.EPERM)
	w.try(w.a.Chmod("f", 0o751))
	w.same("mode", w.stat(w.a, "._f").Mode, uint32(0o751))
	w.try(w.a.Rename("f", "g"))
	w.sameNames(w.a, "", []string{"g", "._g"})
	w.try(w.a.Remove("g"))
	w.sameNames(w.a, "", nil)
	w.put(w.a, "._h", "")
	w.put(w.a, "h", "x")
	w.sameNames(w.a, "", []string{"h"}) // the empty one was left over
	looked := w.a.Calls()["LOOKUP"]
	for range rounds {
		w.stat(w.a, "h")
		_, err := w.a.Lstat("._h")
		w.refused("companion", err, os.ErrNotExist)
	}
	w.same("look-ups of what is not there", w.a.Calls()["LOOKUP"]-looked, 0)
}

// leaky is a disk that loses what was not committed when its server goes.
type leaky struct {
	nfs.FS
	mu   *sync.Mutex
	held map[overlay.ID][][2]uint64 // offset and length
}

// newLeaky zeroes what the server before it did not commit.
func newLeaky() func(nfs.FS) nfs.FS {
	l := leaky{mu: new(sync.Mutex), held: map[overlay.ID][][2]uint64{}}
	return func(fsys nfs.FS) nfs.FS {
		l.FS = fsys
		for id, pieces := range l.held {
			for _, p := range pieces {
				var w overlay.Change
				if err := fsys.Write(overlay.Caller{MayBlock: true}, id, make([]byte, p[1]), p[0], overlay.Unstable, &w); err != nil {
					panic(err)
				}
			}
		}
		clear(l.held)
		return l
	}
}

func (l leaky) Write(c overlay.Caller, id overlay.ID, p []byte, off uint64, how overlay.Stability, w *overlay.Change) error {
	err := l.FS.Write(c, id, p, off, how, w)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && how == overlay.Unstable {
		l.held[id] = append(l.held[id], [2]uint64{off, uint64(len(p))})
	}
	return err
}

func (l leaky) Commit(c overlay.Caller, id overlay.ID, off, count uint64, w *overlay.Change) error {
	err := l.FS.Commit(c, id, off, count, w)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		delete(l.held, id)
	}
	return err
}

// lossy is a disk that loses it while the server goes on, and nobody is told.
type lossy struct{ leaky }

func newLossy() func(nfs.FS) nfs.FS {
	return func(fsys nfs.FS) nfs.FS {
		return lossy{leaky{fsys, new(sync.Mutex), map[overlay.ID][][2]uint64{}}}
	}
}

func (l lossy) Commit(c overlay.Caller, id overlay.ID, off, count uint64, w *overlay.Change) error {
	c.MayBlock = true
	l.mu.Lock()
	held := l.held[id]
	l.mu.Unlock()
	for _, p := range held {
		if err := l.FS.Write(c, id, make([]byte, p[1]), p[0], overlay.Unstable, w); err != nil {
			return err
		}
	}
	return l.leaky.Commit(c, id, off, count, w)
}

// TestPowerLoss loses what was not committed, with a reply to each of several calls.
func TestPowerLoss(t *testing.T) {
	for _, proc := range []uint32{nfsclient.ProcWrite, nfsclient.ProcCommit} {
		w := newWorld(t, 0, newLeaky())
		for _, wrong := range w.play(func(w *world) { powerLoss(w, proc) }) {
			t.Error(wrong)
		}
	}
}

func powerLoss(w *world, proc uint32) {
	text := strings.Repeat("0123456789abcdef", 200_000)
	f, err := w.a.OpenFile("f", os.O_CREATE|os.O_WRONLY, 0o644)
	w.try(err)
	_, err = f.Write([]byte(text)) // more than wsize: WRITEs go out before there is a COMMIT
	w.try(err)
	w.lost.next(proc, w.restart)
	w.try(f.Sync())
	w.restart()
	w.content(w.b, "f", text)
	w.try(f.Close())
}
