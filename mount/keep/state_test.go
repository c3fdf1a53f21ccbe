package keep

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is a machine with a server, a mount and a keeper, whose times are made up.
type world struct {
	*rapid.T
	state
	grace       time.Duration
	now, looked time.Duration
	server      server
	mounts      []point // the last one is on top
	inUse       bool
	sick        bool          // mounting fails
	dead        time.Duration // for how long, while awake, the mount on top has not worked
	slept       time.Duration // what sleeps count in that time
}

func newWorld(t *rapid.T) *world {
	grace := time.Duration(rapid.Int64Range(int64(MinGrace), int64(5*time.Minute)).Draw(t, "grace"))
	return &world{T: t, grace: grace, state: state{times: timesOf(grace)}, server: gone}
}

// sight is what there is to see.
func (w *world) sight() sight {
	v := sight{server: w.server, point: bare}
	for _, m := range w.mounts {
		v.stacked = v.point != bare && m != foreign
		v.point = m
	}
	if v.point == stale && v.server != own {
		v.point = ours // nobody is there to tell
	}
	return v
}

// pass lets awake time go by.
func (w *world) pass(d time.Duration) {
	w.now += d
	if v := w.sight(); v.mounted() && !v.well() {
		w.dead += d
	} else {
		w.dead, w.slept = 0, 0
	}
}

// upTo draws a time that something takes.
func (w *world) upTo(most time.Duration) time.Duration {
	return time.Duration(rapid.Int64Range(0, int64(most)).Draw(w.T, "time"))
}

// round is a look, what comes of it, and the looks after that.
func (w *world) round() {
	for range mostActions + 1 {
		start := w.now
		w.pass(w.upTo(w.times.look)) // connect
		v := w.sight()
		w.pass(w.upTo(w.times.look)) // look at whose the listener is
		before := w.state
		var todo action
		w.state, todo = w.saw(v, start-w.looked)
		w.looked = start
		if todo == nothing {
			return
		}
		w.judge(before, v, todo)
		w.state = w.did(todo, w.act(todo))
	}
}

// judge holds what may never be done.
func (w *world) judge(before state, v sight, todo action) {
	mayGo := before.order >= orderUnmount || v.stacked || v.point == stale || v.server == stranger
	switch {
	case todo == mountIt && (v.server != own || v.point != bare || w.away):
		w.Fatalf("mounts at %+v, away: %v", v, w.away)
	case todo != mountIt && !v.mounted():
		w.Fatalf("unmounts what is not ours: %+v", v)
	case todo == unmountByForce && before.order != orderForce && v.well():
		w.Fatalf("forces what lives: %+v", v)
	case todo == unmountByForce && before.order != orderForce && v.server != stranger && w.dead+w.slept < w.grace/2:
		w.Fatalf("forces what has been dead for %v of %v: %+v", w.dead, w.grace, v)
	case todo == unmountGently && !mayGo && w.dead+w.slept < w.grace/2-w.times.steady:
		w.Fatalf("unmounts what has been dead for %v of %v: %+v", w.dead, w.grace, v)
	}
}

// act does it, and tells how it ended.
func (w *world) act(todo action) (ok bool) {
	w.pass(w.upTo(w.times.command))
	switch todo {
	case mountIt:
		if w.sick || w.server == gone {
			return false
		}
		w.mounts = append(w.mounts, ours)
	case unmountGently:
		if w.inUse {
			return false
		}
		w.mounts = w.mounts[:len(w.mounts)-1]
	case unmountByForce:
		w.mounts = w.mounts[:len(w.mounts)-1]
	}
	w.pass(0)
	return true
}

// wait lets the time go by until the next look, and looks.
func (w *world) wait() {
	w.pass(w.next(w.sight()))
	w.round()
	most := w.grace + time.Duration(len(w.mounts))*(w.times.command+2*w.times.look)
	if len(w.mounts) < 2 {
		most = w.grace
	}
	if w.dead > most {
		w.Fatalf("a mount has been dead for %v of %v", w.dead, w.grace)
	}
}

// give gives an order, and holds what becomes of it.
func (w *world) give(o order) {
	w.state = w.asked(o)
	w.round()
	w.order = noOrder
	v := w.sight()
	switch {
	case o == orderForce && v.mounted(), o >= orderUnmount && v.mounted() && !w.inUse:
		w.Errorf("%+v stays mounted", v)
	case o >= orderUnmount && v.point == bare && !w.away:
		w.Errorf("unmounted, and will be mounted again")
	case o == orderMount && v.point == bare && v.server == own && !w.sick:
		w.Errorf("not mounted")
	}
}

// change is something that somebody else does.
func (w *world) change(f func()) func(*rapid.T) {
	return func(t *rapid.T) {
		w.T = t
		f()
		w.pass(0)
		w.wait()
	}
}

// TestModel has servers, users and clocks do what they like.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		flag := func() bool { return rapid.Bool().Draw(w.T, "yes") }
		t.Repeat(map[string]func(*rapid.T){
			"wait":   func(t *rapid.T) { w.T = t; w.wait() },
			"server": w.change(func() { w.server = rapid.SampledFrom([]server{own, own, gone, stranger}).Draw(w.T, "server") }),
			"use":    w.change(func() { w.inUse = flag() }),
			"sicken": w.change(func() { w.sick = flag() }),
			"order": w.change(func() {
				w.give(rapid.SampledFrom([]order{noOrder, orderMount, orderUnmount, orderForce}).Draw(w.T, "order"))
			}),
			"new key": w.change(func() {
				for i := range w.mounts {
					if w.mounts[i] == ours {
						w.mounts[i] = stale
					}
				}
			}),
			"stack": w.change(func() {
				if len(w.mounts) < 3 && w.server == own {
					w.mounts = append(w.mounts, rapid.SampledFrom([]point{ours, ours, foreign}).Draw(w.T, "mount"))
				}
			}),
			"take off": w.change(func() {
				if n := len(w.mounts); n > 0 {
					w.mounts = w.mounts[:n-1]
				}
			}),
			// The clock jumps, and nothing ran in between.
			"sleep": w.change(func() {
				w.looked -= w.upTo(24 * time.Hour)
				w.slept += w.grace / 4
			}),
			"turn back": w.change(func() { w.looked += w.upTo(24 * time.Hour) }),
		})
		w.settle()
	})
}

// settle leaves the keeper alone, and holds that all is as it should be in the end.
func (w *world) settle() {
	w.server, w.sick, w.inUse = own, false, false
	for end := w.now + 2*w.grace + 64*w.times.steady; w.now < end; {
		w.wait()
	}
	v := w.sight()
	if v.point != foreign && !(w.away && v.point == bare) && (!v.well() || v.stacked) {
		w.Fatalf("it stays %+v, away: %v", v, w.away)
	}
}
