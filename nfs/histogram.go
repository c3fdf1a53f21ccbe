package nfs

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// buckets of a Histogram: the last is for what takes longer than all bounds.
const buckets = 25

// Histogram is how long calls took.
type Histogram struct {
	Sum time.Duration `json:"sumNanoseconds"`
	// Counts are the calls below each Bound, and not below the one before.
	Counts [buckets]uint64 `json:"counts"`
}

// Bound is what calls counted in a bucket are below, in powers of two of a microsecond. The last
// bucket has none, and it is as if it had.
func Bound(bucket int) time.Duration { return time.Microsecond << bucket }

// Buckets is how many there are, the last one without a bound.
func (h *Histogram) Buckets() int { return buckets }

// Count is how many calls there are.
func (h *Histogram) Count() (n uint64) {
	for _, k := range h.Counts {
		n += k
	}
	return n
}

// Minus is what came since an older Histogram. Where that has more calls, as of a server that was
// restarted since, it is all.
func (h *Histogram) Minus(older *Histogram) Histogram {
	since := Histogram{Sum: h.Sum - older.Sum}
	for i := range h.Counts {
		if h.Counts[i] < older.Counts[i] {
			return *h
		}
		since.Counts[i] = h.Counts[i] - older.Counts[i]
	}
	return since
}

// Plus is this and another one.
func (h *Histogram) Plus(other *Histogram) Histogram {
	both := Histogram{Sum: h.Sum + other.Sum}
	for i := range h.Counts {
		both.Counts[i] = h.Counts[i] + other.Counts[i]
	}
	return both
}

// Quantile is a time that the share q of the calls did not exceed, such as 0.99: as near as the
// buckets tell. It is 0 without calls.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, low := q*float64(h.Count()), time.Duration(0)
	for i, n := range h.Counts {
		if n > 0 && rank <= float64(n) {
			return low + time.Duration(float64(Bound(i)-low)*rank/float64(n))
		}
		rank, low = rank-float64(n), Bound(i)
	}
	return 0
}

// histogram counts times.
type histogram struct {
	sum    atomic.Uint64 // nanoseconds
	counts [buckets]atomic.Uint64
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.sum.Add(uint64(d))
	h.counts[min(bits.Len64(uint64(d/time.Microsecond)), buckets-1)].Add(1)
}

func (h *Histogram) plus(of *histogram) {
	h.Sum += time.Duration(of.sum.Load())
	for i := range h.Counts {
		h.Counts[i] += of.counts[i].Load()
	}
}
