package nfs

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// procedures is how many there are in the tables, of NFS and behind them of MOUNT.
	procedures = 22 + 6
	// firstMount is the first of MOUNT's among them.
	firstMount = 22
	// sampleEvery is of how many calls of a procedure one is timed. The clock is read three
	// times for it, which takes as long as a tenth of a GETATTR does.
	sampleEvery = 64
)

// Outcomes are numbered so that they can be counted in an array: a status below 71 is its own
// number, those from 10001 on follow, and the last is a call that was not accepted (RFC 5531 §9).
const (
	firstHigh   = statusBadHandle
	highAt      = int(statusStale) + 1
	notAccepted = highAt + int(statusJukebox-firstHigh) + 1
	outcomes    = notAccepted + 1
)

func outcomeOf(st status) int {
	if st >= firstHigh {
		return highAt + int(st-firstHigh)
	}
	return int(st)
}

// meter counts what becomes of a connection's calls, while the connection is busy: then it has
// one to itself, so that two of them do not write to the same memory.
type meter struct {
	ended    [procedures][outcomes]atomic.Uint64
	data     [procedures]atomic.Uint64 // bytes of files in READs and WRITEs
	received atomic.Uint64             // bytes of calls
	sent     atomic.Uint64             // bytes of replies
	rejected atomic.Uint64             // calls that are none of a procedure's, or not let in
	repeated atomic.Uint64             // calls that were sent again, and did not run again
	times    [procedures][phases]histogram

	turns [procedures]uint8 // of the reading goroutine: when the next call is to be timed
}

// due reports whether a call is one of those that are timed.
func (m *meter) due(proc int) bool {
	m.turns[proc]++
	return m.turns[proc]%sampleEvery == 1
}

// answered counts a call that has a reply.
func (m *meter) answered(q *request) {
	m.ended[q.slot][q.ended].Add(1)
	switch {
	case q.ended != 0:
	case q.slot == numRead:
		m.data[numRead].Add(uint64(q.n))
	case q.slot == numWrite:
		m.data[numWrite].Add(uint64(len(q.data)))
	}
}

// timing is when a call that is timed was where, by Server.clock. It is zero for the others.
type timing struct {
	timed                 bool
	slot                  int
	arrived, began, ended time.Duration
}

// written notes calls whose replies have been written, now.
func (m *meter) written(calls []timing, now time.Duration) {
	for _, t := range calls {
		of := &m.times[t.slot]
		of[PhaseQueue].add(t.began - t.arrived)
		of[PhaseRun].add(t.ended - t.began)
		of[PhaseWrite].add(now - t.ended)
		of[PhaseAll].add(now - t.arrived)
	}
}

// meters are those of all connections that are busy, or were: as many as were at once.
type meters struct {
	mu        sync.Mutex
	all, free []*meter
}

func (s *meters) take() *meter {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		m := s.free[n-1]
		s.free = s.free[:n-1]
		return m
	}
	m := new(meter)
	s.all = append(s.all, m)
	return m
}

func (s *meters) give(m *meter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, m)
}

func (s *meters) list() []*meter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[:len(s.all):len(s.all)]
}
