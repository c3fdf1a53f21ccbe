package nfs

import (
	"io"
	"testing"
	"testing/synctest"
)

// takers are goroutines that take a relay; got has what each was told, when it was.
func takers(r *relay, n int) (got chan bool) {
	got = make(chan bool, n)
	for range n {
		go func() { got <- r.take() }()
	}
	synctest.Wait()
	return got
}

func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay()
		if !r.take() {
			t.Fatal("nobody reads, and take reports false")
		}
		got := takers(r, 3) // one waits, and the others are not needed
		if len(got) != 2 || <-got || <-got {
			t.Fatalf("%d of three were told, want two, that they are not needed", len(got))
		}
		if !r.pass() {
			t.Error("somebody waits, and pass reports false")
		}
		synctest.Wait()
		if len(got) != 1 || !<-got {
			t.Error("the one that waited does not read")
		}
		if r.pass() {
			t.Error("nobody waits, and pass reports true")
		}
		if !r.take() {
			t.Error("who passed it on cannot take it back, though nobody took it")
		}
		got = takers(r, 1)
		r.end(io.EOF)
		if <-got || r.take() || <-r.over != io.EOF {
			t.Error("reading goes on behind its end")
		}
	})
}

// TestRelayTakenBack: who passed it on takes it before the one that it woke, which goes on waiting.
func TestRelayTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay()
		r.take()
		got := takers(r, 1)
		r.mu.Lock() // the one that is waked cannot go on
		r.taken = false
		r.free.Signal()
		r.taken = true
		r.mu.Unlock()
		synctest.Wait()
		if len(got) != 0 {
			t.Fatal("two read at once")
		}
		r.pass()
		if !<-got {
			t.Error("the one that waited does not read")
		}
	})
}
