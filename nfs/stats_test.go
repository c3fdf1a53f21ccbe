package nfs

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// replied sends calls in one go and reads as many replies.
func replied(t *testing.T, c net.Conn, calls ...[]byte) (bytesOut, bytesIn uint64) {
	t.Helper()
	for i, msg := range calls {
		calls[i] = record(msg)
	}
	out := bytes.Join(calls, nil)
	send(t, c, out)
	for range calls {
		reply, err := oncrpc.ReadRecord(c, nil, 2*maxIO)
		if err != nil {
			t.Fatal(err)
		}
		bytesIn += oncrpc.MarkSize + uint64(len(reply))
	}
	return uint64(len(out)), bytesIn
}

// TestStats: calls that are answered at once, by workers, with errors, not at all, and again.
func TestStats(t *testing.T) {
	f := newFakeFS()
	f.data = make([]byte, 100)
	s := newServer(f)
	c := dial(t, serve(t, s))
	var calls [][]byte
	for range sampleEvery + 1 {
		calls = append(calls, nfsCall(1, procGetattr, &owner, on(fakeFile)))
	}
	calls = append(
		calls,
		nfsCall(2, procGetattr, &other, on(fakeFile)),
		nfsCall(3, procRead, &owner, on(fakeFile).u64(0).u32(64)),
		nfsCall(4, procWrite, &owner, on(fakeFile).u64(0).u32(8, 2).opaque(make([]byte, 8))), // by a worker
		nfsCall(5, procWrite, &owner, on(fakeFile).u64(0).u32(9, 0).opaque(make([]byte, 8))), // garbage
		nfsCall(6, procCommit, &owner, on(fakeFile).u64(0).u32(0)),
		nfsCall(7, 22, &owner, new(args)), // no procedure
		call(progMount, 3, 5, &nobody, new(args)),
	)
	out, in := replied(t, c, calls...)
	remove := nfsCall(8, procRemove, &owner, on(fakeRoot).str("file"))
	for range 2 {
		o, i := replied(t, c, remove)
		out, in = out+o, in+i
	}
	var got Stats
	testenv.Await(t, "all is counted", func() bool { got = s.Stats(); return got.Sent == in && got.Received == out })
	type line struct {
		name         string
		calls, timed uint64
		data         uint64
		errors       map[string]uint64
	}
	var lines []line
	for i := range got.Procedures {
		p := &got.Procedures[i]
		lines = append(lines, line{p.Name, p.Calls, p.Latency[PhaseAll].Count(), p.Data, p.Errors})
	}
	want := []line{
		{"GETATTR", sampleEvery + 2, 2, 0, map[string]uint64{"ACCES": 1}},
		{"READ", 1, 1, 64, nil},
		{"WRITE", 2, 1, 8, map[string]uint64{"REJECTED": 1}},
		{"REMOVE", 1, 1, 0, nil},
		{"COMMIT", 1, 1, 0, nil},
		{"EXPORT", 1, 1, 0, nil},
	}
	if diff := cmp.Diff(want, lines, cmp.AllowUnexported(line{})); diff != "" {
		t.Error(diff)
	}
	got.Procedures, got.Busy = nil, 0 // it may be idle by now
	if diff := cmp.Diff(Stats{Received: out, Sent: in, Rejected: 1, Repeated: 1, Connections: 1, Accepted: 1}, got); diff != "" {
		t.Error(diff)
	}
}

// TestStatsOfStrangers: who is not let in is counted.
func TestStatsOfStrangers(t *testing.T) {
	s := newServer(newFakeFS())
	s.peerUID = func(net.Conn) (uint32, error) { return 0, errors.New("nobody knows") }
	c := dial(t, serve(t, s))
	if _, err := io.ReadAll(c); err != nil {
		t.Log(err) // it may be reset
	}
	if got := s.Stats(); got.Refused != 1 || got.Connections != 0 || got.Accepted != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestMetersAreShared: connections that come one after the other need one meter.
func TestMetersAreShared(t *testing.T) {
	s := newServer(newFakeFS())
	addr := serve(t, s)
	for i := range 3 {
		c := dial(t, addr)
		replied(t, c, nfsCall(1, procNull, &owner, new(args)))
		c.Close()
		testenv.Await(t, "the connection is gone", func() bool { return s.Stats().Connections == 0 })
		if got := s.Stats().Procedures[0].Calls; got != uint64(i+1) {
			t.Errorf("got %d calls of %d", got, i+1)
		}
	}
	if n := len(s.meters.list()); n != 1 {
		t.Errorf("%d meters were made", n)
	}
}

// TestOutcomes: each status is counted by itself, under its name.
func TestOutcomes(t *testing.T) {
	seen := map[int]status{}
	for st, name := range statusNames {
		o := outcomeOf(st)
		if o < 0 || o >= notAccepted || outcomeName(o) != name {
			t.Errorf("%v: outcome %d, %s", st, o, outcomeName(o))
		}
		if other, ok := seen[o]; ok {
			t.Errorf("%v and %v are both %d", st, other, o)
		}
		seen[o] = st
	}
	for slot := range procedures {
		if procedureAt(slot).name == "" {
			t.Errorf("%d has no name", slot)
		}
	}
	if n := len(nfsProgram.procs) + len(mountProgram.procs); n != procedures || len(nfsProgram.procs) != firstMount {
		t.Errorf("there are %d procedures", n)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{-1, 0, 999, time.Microsecond, 3 * time.Microsecond, time.Minute} {
		h.add(d)
	}
	var got Histogram
	got.plus(&h)
	want := Histogram{Sum: time.Minute + 4*time.Microsecond + 999}
	want.Counts[0], want.Counts[1], want.Counts[2], want.Counts[buckets-1] = 3, 1, 1, 1
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if since := got.Minus(&got); since.Count() != 0 || since.Sum != 0 {
		t.Errorf("since just now: %+v", since)
	}
	if since := new(Histogram).Minus(&got); since != (Histogram{}) {
		t.Errorf("since a restart: %+v", since)
	}
}

func TestQuantile(t *testing.T) {
	h := Histogram{}
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	h.Counts[3], h.Counts[4] = 50, 50 // 4 to 8 µs, and 8 to 16
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{{0, 4000}, {0.25, 6000}, {0.5, 8000}, {0.75, 12000}, {1, 16000}} {
		if got := h.Quantile(tt.q); math.Abs(float64(got-tt.want)) > 1 {
			t.Errorf("%v: got %v, want %v", tt.q, got, tt.want)
		}
	}
}

func BenchmarkStats(b *testing.B) {
	s := newServer(newFakeFS())
	for range maxBusy {
		s.meters.take()
	}
	for b.Loop() {
		s.Stats()
	}
}
