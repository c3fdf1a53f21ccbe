package nfs_test

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/sysfault"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// lossyFS fails one fsync when it is told to, as a disk that could not write does: the
// system says so once.
type lossyFS struct {
	nfs.FS
	failing atomic.Bool
	// wrote, when set, is called before a WRITE returns.
	wrote atomic.Pointer[func()]
}

func (l *lossyFS) fail(f func() error) (err error) {
	if !l.failing.CompareAndSwap(true, false) {
		return f()
	}
	rule := func(c sysfault.Call) sysfault.Answer {
		if strings.HasSuffix(c.Name, "sync") {
			return sysfault.Answer{Errno: syscall.EIO}
		}
		return sysfault.Answer{}
	}
	if fault := sysfault.Run(rule, func() { err = f() }); fault != nil {
		return fault
	}
	return err
}

func (l *lossyFS) Write(c overlay.Caller, id overlay.ID, p []byte, off uint64, how overlay.Stability, w *overlay.Change) error {
	write := func() error { return l.FS.Write(c, id, p, off, how, w) }
	if how != overlay.Unstable {
		return l.fail(write)
	}
	err := write()
	if f := l.wrote.Swap(nil); f != nil {
		(*f)()
	}
	return err
}

func (l *lossyFS) Commit(c overlay.Caller, id overlay.ID, off, count uint64, w *overlay.Change) error {
	return l.fail(func() error { return l.FS.Commit(c, id, off, count, w) })
}

// TestLossIsToldToAll: what could not be written to the disk can be anybody's. The system tells
// one caller only, so the others learn by the verifier that they have to send again.
func TestLossIsToldToAll(t *testing.T) {
	err := sysfault.Run(func(sysfault.Call) (a sysfault.Answer) { return a }, func() {})
	testenv.Require(t, err == nil, "the kernel has no seccomp user notification")
	l := new(lossyFS)
	w := wrapped(t, func(fs nfs.FS) nfs.FS {
		l.FS = fs
		return l
	})
	fh := w.create(w.root, "f")
	other := w.dial(nfsclient.Options{Cred: owner()})
	commit := func() error {
		l.failing.Store(true)
		_, err := other.Commit(t.Context(), fh, 0, 1)
		return err
	}
	tt := []struct {
		name string
		fail func() error
	}{
		{"COMMIT", commit},
		{"WRITE to be synced", func() error {
			l.failing.Store(true)
			_, err := other.Write(t.Context(), fh, 0, nfsclient.FileSync, []byte("x"))
			return err
		}},
		{"COMMIT beside the WRITE", nil},
	}
	for _, tt := range tt {
		if tt.fail == nil {
			f := func() { w.want(tt.name, commit(), nfsclient.ErrIO) }
			l.wrote.Store(&f)
		}
		r, err := w.Write(t.Context(), fh, 4096, nfsclient.Unstable, []byte("y"))
		w.must("write", err)
		if tt.fail != nil {
			w.want(tt.name, tt.fail(), nfsclient.ErrIO)
		}
		lost, err := w.Commit(t.Context(), fh, 4096, 1)
		w.must("commit", err)
		if lost.Verf == r.Verf {
			t.Errorf("%s failed, and data from before is said to be on disk", tt.name)
		}
		r, err = w.Write(t.Context(), fh, 4096, nfsclient.Unstable, []byte("y"))
		w.must("write again", err)
		kept, err := w.Commit(t.Context(), fh, 4096, 1)
		w.must("commit again", err)
		if kept.Verf != r.Verf {
			t.Errorf("%s failed, and what was sent again has to be sent once more", tt.name)
		}
	}
}
