package status

import (
	"cmp"
	"slices"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/metrics"
	"github.com/nixnfsd/nixnfsd/nfs"
)

// depth is how many looks latencies are taken from.
const depth = 10

// History is the latest looks, the last one being what is shown.
type History struct{ looks []Report }

// Add adds a look. What a server did before another program took over from it does not count.
func (h *History) Add(r Report) {
	if n := len(h.looks); n > 0 && !sameServer(h.looks[n-1].Stats, r.Stats) {
		h.looks = nil
	}
	if len(h.looks) > depth {
		h.looks = slices.Delete(h.looks, 0, 1)
	}
	h.looks = append(h.looks, r)
}

func sameServer(a, b *metrics.Snapshot) bool {
	return a == nil && b == nil || a != nil && b != nil && a.PID == b.PID && a.Started.Equal(b.Started)
}

// view is what happened in a time: since the server was started where there is but one look.
type view struct {
	*metrics.Snapshot
	before *metrics.Snapshot // the look before
	first  *metrics.Snapshot // the look that latencies are counted from
	over   time.Duration     // since before; 0: since the start
}

// view gives nil without a server.
func (h *History) view() *view {
	last := len(h.looks) - 1
	if h.looks[last].Stats == nil {
		return nil
	}
	v := &view{Snapshot: h.looks[last].Stats, before: new(metrics.Snapshot), first: new(metrics.Snapshot)}
	if last > 0 {
		v.before, v.first = h.looks[last-1].Stats, h.looks[0].Stats
		v.over = max(v.Taken.Sub(v.before.Taken), time.Millisecond)
	}
	return v
}

// rate is how many there were in a second, or in all.
func (v *view) rate(now, before uint64) float64 {
	if v.over == 0 {
		return float64(now)
	}
	return float64(now-min(before, now)) / v.over.Seconds()
}

// row is a procedure in a view.
type row struct {
	name          string
	calls, errors float64
	latency       [4]nfs.Histogram // by phase
}

// rows are the procedures that were called, those called most first.
func (v *view) rows() []row {
	before, first := byName(v.before), byName(v.first)
	rows := make([]row, 0, len(v.NFS.Procedures))
	for i := range v.NFS.Procedures {
		p := &v.NFS.Procedures[i]
		b, f := before(p.Name), first(p.Name)
		r := row{name: p.Name, calls: v.rate(p.Calls, b.Calls), errors: v.rate(p.Failed(), b.Failed())}
		for _, phase := range nfs.Phases() {
			r.latency[phase] = p.Latency[phase].Minus(&f.Latency[phase])
		}
		if r.calls > 0 || r.latency[nfs.PhaseAll].Count() > 0 {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.calls, a.calls) })
	return rows
}

func byName(s *metrics.Snapshot) func(name string) *nfs.ProcedureStats {
	return func(name string) *nfs.ProcedureStats {
		for i := range s.NFS.Procedures {
			if p := &s.NFS.Procedures[i]; p.Name == name {
				return p
			}
		}
		return new(nfs.ProcedureStats)
	}
}

// total is all procedures together.
func (v *view) total() row {
	t := row{name: "all"}
	for _, r := range v.rows() {
		t.calls += r.calls
		t.errors += r.errors
		for phase := range t.latency {
			t.latency[phase] = r.latency[phase].Plus(&t.latency[phase])
		}
	}
	return t
}

// data is how many bytes of files a procedure moved.
func (v *view) data(name string) float64 {
	return v.rate(byName(v.Snapshot)(name).Data, byName(v.before)(name).Data)
}

// share is the part of hits, in percent; ok is false where there were neither hits nor misses.
func (v *view) share(count func(*metrics.Snapshot) (hits, misses uint64)) (percent float64, ok bool) {
	hits, misses := count(v.Snapshot)
	if v.over > 0 {
		h, m := count(v.first)
		hits, misses = hits-min(h, hits), misses-min(m, misses)
	}
	if hits+misses == 0 {
		return 0, false
	}
	return 100 * float64(hits) / float64(hits+misses), true
}
