package nfs

import (
	"io"
	"testing"
	"testing/synctest"
)

// fakeBell notes what it is told.
type fakeBell struct{ broken, armed, closed bool }

func (b *fakeBell) Arm() bool {
	b.armed = !b.broken
	return b.armed
}
func (b *fakeBell) Disarm() { b.armed = false }
func (b *fakeBell) Close()  { b.closed = true }

// testRelay is a relay with a bell b, or with none, and counts the goroutines that it wants.
func testRelay(b *fakeBell) (r *relay, wanted *int) {
	wanted = new(int)
	hang := func(func()) bell {
		if b == nil {
			return nil
		}
		return b
	}
	return newRelay(func() { *wanted++ }, hang), wanted
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
		r, wanted := testRelay(nil)
		if !r.take() {
			t.Fatal("nobody reads, and take reports false")
		}
		got := takers(r, 3) // one waits, and the others are not needed
		if len(got) != 2 || <-got || <-got {
			t.Fatalf("%d of three were told, want two, that they are not needed", len(got))
		}
		if r.pass(); *wanted != 0 {
			t.Error("somebody waits, and pass wants another")
		}
		synctest.Wait()
		if len(got) != 1 || !<-got {
			t.Error("the one that waited does not read")
		}
		if r.pass(); *wanted != 1 {
			t.Errorf("nobody waits, and pass wants %d more, want 1", *wanted)
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
	b := &fakeBell{}
	r, wanted := testRelay(b)
	r.take()
	if !r.leave() || !b.armed {
		t.Fatal("who reads cannot leave, or the bell is not armed")
	}
	if !r.comeBack() || b.armed {
		t.Error("no call arrived, and another reads, or the bell is still armed")
	}
	r.ring() // was on its way
	if *wanted != 0 || !r.taken {
		t.Error("a late ring has another read beside the one who is back")
	}
	if r.close(); !b.closed {
		t.Error("the bell is not closed")
	}
}

// TestRelayRung: a call that arrives has another read on, once, and then nobody leaves for a while.
func TestRelayRung(t *testing.T) {
	r, wanted := testRelay(&fakeBell{})
	r.take()
	r.leave()
	r.ring()
	r.ring()
	if *wanted != 1 || r.taken {
		t.Fatalf("%d goroutines are wanted, want 1, to read on", *wanted)
	}
	if r.comeBack() {
		t.Error("who was away reads beside the other")
	}
	r.take()
	for i := range hurried {
		if r.leave() {
			t.Fatalf("left again after %d calls, want %d", i, hurried)
		}
	}
	if !r.leave() {
		t.Error("nobody leaves any more")
	}
}

// TestRelayNoBell: without a bell nobody leaves.
func TestRelayNoBell(t *testing.T) {
	for name, b := range map[string]*fakeBell{"none": nil, "of a closed connection": {broken: true}} {
		r, _ := testRelay(b)
		if r.take(); r.leave() || r.comeBack() {
			t.Errorf("%s: left without a bell", name)
		}
		r.close()
	}
}
