package main

import (
	"slices"
	"time"
)

// result is what one server did in one workload of one round.
type result struct {
	row    string
	server string
	round  int

	units    float64 // of the row's: calls, entries or MiB
	wall     time.Duration
	cpu      time.Duration // the server's
	p50, p99 time.Duration // of a call
	before   float64       // MiB: what the server had when it began
	peak     float64       // MiB: the most that it had
	err      error
}

// rate is in units a second.
func (r *result) rate() float64 { return r.units / r.wall.Seconds() }

// cpuEach is the server's processor time for a unit, in µs.
func (r *result) cpuEach() float64 { return float64(r.cpu.Microseconds()) / r.units }

// meter counts what happens in one measurement.
type meter struct {
	calls    int
	units    float64 // calls, where it stays 0
	latency  []int64 // ns
	deadline time.Time
}

// call counts a call.
func (m *meter) call(took time.Duration) {
	m.calls++
	m.latency = append(m.latency, int64(took))
}

// late reports whether the time is over at now. It never is before something was done.
func (m *meter) late(now time.Time) bool { return m.calls > 0 && now.After(m.deadline) }

// grace is how long work may go on behind its time that has an end of its own. What a slow
// server did until then is measured.
const grace = 10 * time.Second

// overdue reports whether that is over too.
func (m *meter) overdue(now time.Time) bool { return m.late(now.Add(-grace)) }

// measure has work done for about length, with a server or, with nil, without.
func measure(row string, s *server, length time.Duration, work func(*meter) error) result {
	r := result{row: row}
	s.resetPeak()
	r.before, _ = s.memory()
	cpu, start := s.cpu(), time.Now()
	m := &meter{deadline: start.Add(length)}
	r.err = work(m)
	r.wall, r.cpu = time.Since(start), s.cpu()-cpu
	_, r.peak = s.memory()
	r.units = m.units
	if r.units == 0 {
		r.units = float64(m.calls)
	}
	r.p50, r.p99 = m.quantile(0.5), m.quantile(0.99)
	return r
}

func (m *meter) quantile(q float64) time.Duration {
	if len(m.latency) == 0 {
		return 0
	}
	slices.Sort(m.latency)
	return time.Duration(m.latency[int(q*float64(len(m.latency)-1))])
}
