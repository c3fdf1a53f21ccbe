package nfs

import (
	"io"
	"testing"
	"testing/synctest"
)

// fakeNotifier notes what it is told, and notifies nobody.
type fakeNotifier struct{ broken, armed, closed bool }

func (n *fakeNotifier) Arm() bool {
	n.armed = !n.broken
	return n.armed
}
func (n *fakeNotifier) Disarm() { n.armed = false }
func (n *fakeNotifier) Close()  { n.closed = true }

// testRelay is a relay with a notifier n, or with none, behind its first slow call. It counts
// the goroutines that it starts.
func testRelay(n *fakeNotifier) (r *relay, started *int) {
	started = new(int)
	r = newRelay(func() { *started++ })
	if n != nil {
		r.notifier = n
	}
	r.leave()
	return r, started
}

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
		r, started := testRelay(nil)
		if !r.take() {
			t.Fatal("nobody reads, and take reports false")
		}
		got := takers(r, 3) // one waits, and the others are not needed
		if len(got) != 2 || <-got || <-got {
			t.Fatalf("%d of three were told, want two, that they are not needed", len(got))
		}
		if r.pass(); *started != 0 {
			t.Error("somebody waits, and pass starts another")
		}
		synctest.Wait()
		if len(got) != 1 || !<-got {
			t.Error("the one that waited does not read")
		}
		if r.pass(); *started != 1 {
			t.Errorf("nobody waits, and pass starts %d, want 1", *started)
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
		r, _ := testRelay(nil)
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

// TestRelayLeft: nobody else reads while no call arrives.
func TestRelayLeft(t *testing.T) {
	n := &fakeNotifier{}
	r, started := testRelay(n)
	r.take()
	if !r.leave() || !n.armed {
		t.Fatal("who reads cannot leave, or the notifier is not armed")
	}
	if !r.comeBack() || n.armed {
		t.Error("no call arrived, and another reads, or the notifier is still armed")
	}
	r.arrived() // was on its way
	if *started != 0 || !r.taken {
		t.Error("a late notification has another read beside the one who is back")
	}
	if r.close(); !n.closed {
		t.Error("the notifier is not closed")
	}
}

// TestRelayArrived: a call that arrives has another read on, once, and then nobody leaves for a while.
func TestRelayArrived(t *testing.T) {
	r, started := testRelay(&fakeNotifier{})
	r.take()
	r.leave()
	r.arrived()
	r.arrived()
	if *started != 1 || r.taken {
		t.Fatalf("%d goroutines are started, want 1, to read on", *started)
	}
	if r.comeBack() {
		t.Error("who was away reads beside the other")
	}
	r.take()
	for i := range eager {
		if r.leave() {
			t.Fatalf("left again after %d calls, want %d", i, eager)
		}
	}
	if !r.leave() {
		t.Error("nobody leaves any more")
	}
}

// TestRelayUnnoticed: where nobody would tell of a call nobody leaves.
func TestRelayUnnoticed(t *testing.T) {
	for name, n := range map[string]*fakeNotifier{"no notifier": nil, "a closed connection": {broken: true}} {
		r, _ := testRelay(n)
		if r.take(); r.leave() || r.comeBack() {
			t.Errorf("%s: left", name)
		}
		r.close()
	}
}
