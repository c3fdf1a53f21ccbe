package keep

import "time"

// times are all derived from the grace time, so that half of it goes by before anything is done,
// and the whole of an unmounting fits into the rest.
type times struct {
	steady  time.Duration // between two looks while all is well
	urgent  time.Duration // between two looks while a mount is dead
	look    time.Duration // the most that each part of a look takes
	gentle  time.Duration // a mount that is dead for so long is unmounted gently,
	force   time.Duration // and for so long, by force where that did not do
	command time.Duration // the most that unmounting what is dead takes
	// longest is the longest time between two looks. A longer one was sleep, or the keeper did not
	// run, nor perhaps the server: it counts as steady.
	longest time.Duration
}

func timesOf(grace time.Duration) times {
	return times{
		steady:  min(grace/12, 5*time.Second),
		urgent:  min(grace/48, time.Second),
		look:    min(grace/24, 2500*time.Millisecond),
		gentle:  grace * 68 / 100,
		force:   grace * 75 / 100,
		command: min(grace/16, 5*time.Second),
		longest: min(grace/4, 15*time.Second),
	}
}

// action is what is to be done.
type action int

// The actions.
const (
	nothing action = iota
	mountIt
	unmountGently
	unmountByForce
)

// order is what the owner asks for.
type order int

// The orders.
const (
	noOrder order = iota
	orderMount
	orderUnmount
	orderForce // to unmount even what is alive and in use
)

// state is what the keeper knows between two looks.
type state struct {
	times times
	away  bool          // the owner wants it unmounted
	order order         // what he waits for
	dead  time.Duration // for how long the mount has not worked
	busy  bool          // it could not be unmounted gently
	fails int           // how often mounting has failed in a row
	wait  time.Duration // until what failed is tried again
}

// asked begins an order, which ends when saw has nothing to do for it.
func (s state) asked(o order) state {
	s.order = o
	s.busy = s.busy && o == noOrder
	if o == orderMount {
		s.away, s.fails, s.wait = false, 0, 0
	}
	return s
}

// saw says what to do about a sight, a time after the one before.
func (s state) saw(v sight, since time.Duration) (state, action) {
	if since = max(since, 0); since > s.times.longest {
		since = s.times.steady
	}
	s.wait = max(s.wait-since, 0)
	s.busy = s.busy && s.wait > 0
	s.dead += since
	if !v.mounted() || v.well() {
		s.dead = 0
	}
	if v.mounted() {
		return s, s.unmount(v)
	}
	s.away = s.away || v.point == bare && s.order >= orderUnmount
	if v.point == bare && v.server == own && !s.away && s.wait == 0 {
		return s, mountIt
	}
	return s, nothing
}

// unmount says whether, and how, a mount of ours is to go.
func (s state) unmount(v sight) action {
	early := s.order >= orderUnmount || v.point == stale || v.stacked
	switch {
	case v.server == stranger:
		return unmountByForce
	case !s.busy && (early || s.dead >= s.times.gentle):
		return unmountGently
	case s.busy && (s.order == orderForce || s.dead >= s.times.force):
		return unmountByForce
	}
	return nothing
}

// did notes how an action ended.
func (s state) did(a action, ok bool) state {
	switch {
	case ok:
		s.fails, s.wait, s.busy = 0, 0, false
	case a == mountIt:
		s.fails++
		s.wait = s.times.urgent << min(s.fails, 6)
	case a == unmountGently:
		s.busy, s.wait = true, 12*s.times.steady
	}
	return s
}

// next is how long to wait for the next look.
func (s state) next(v sight) time.Duration {
	if v.mounted() && !v.well() {
		return s.times.urgent
	}
	return s.times.steady
}
