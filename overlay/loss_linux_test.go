package overlay_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/sysfault"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// atSync runs f on a thread, of whose fsyncs before says what becomes.
func atSync(t *testing.T, before func() syscall.Errno, f func() error) (err error) {
	t.Helper()
	rule := func(c sysfault.Call) (a sysfault.Answer) {
		if strings.HasSuffix(c.Name, "sync") {
			a.Errno = before()
		}
		return a
	}
	fault := sysfault.Run(rule, func() { err = f() })
	testenv.Require(t, fault == nil, "the kernel has no seccomp user notification")
	return err
}

// TestLossBesideStableWrite: a COMMIT is told that data could not be written, while a stable WRITE
// waits for the same. The system tells that one nothing, and its client asks for nothing more.
func TestLossBesideStableWrite(t *testing.T) {
	tr := newTree(t, 0).open()
	id := tr.create(tr.Root(), "f", "").ID
	var w overlay.Change
	commit := func() error {
		var w overlay.Change
		return tr.Commit(worker, id, 0, 0, &w)
	}
	failed := false
	fail := func() syscall.Errno { return syscall.EIO }
	write := func() error { return tr.Write(worker, id, []byte("x"), 0, overlay.FileSync, &w) }
	err := atSync(t, func() syscall.Errno {
		wantErr(t, atSync(t, fail, commit), syscall.EIO)
		failed = true
		return 0
	}, write)
	if wantErr(t, err, syscall.EAGAIN); !failed || tr.Losses() != 1 {
		t.Errorf("%d losses are told", tr.Losses())
	}
	wantErr(t, write(), nil)
	wantErr(t, commit(), nil)
}

// TestLossIsToldInTime: a COMMIT that finds nothing wrong does not return before the loss is told
// that another COMMIT beside it was told of.
func TestLossIsToldInTime(t *testing.T) {
	tr := newTree(t, 0).open()
	id := tr.create(tr.Root(), "f", "").ID
	var w overlay.Change
	wantErr(t, tr.Write(worker, id, []byte("x"), 0, overlay.Unstable, &w), nil)
	commit := func() error {
		var w overlay.Change
		return tr.Commit(worker, id, 0, 0, &w)
	}
	for round := range uint64(200) {
		both := new(sync.WaitGroup) // are in their fsyncs
		both.Add(2)
		meet := func(errno syscall.Errno) func() syscall.Errno {
			return func() syscall.Errno { both.Done(); both.Wait(); return errno }
		}
		told := make(chan uint64, 1)
		go func() {
			_ = atSync(t, meet(0), commit)
			told <- tr.Losses()
		}()
		_ = atSync(t, meet(syscall.EIO), commit)
		if n := <-told; n != round+1 {
			t.Fatalf("%d losses were told when the other COMMIT of round %d returned", n, round)
		}
	}
}
