package oncrpc_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
)

// lent is memory for large records.
type lent struct{}

func (lent) Big() []byte { return make([]byte, 0, 1<<20) }

// records gives what a reader hands out before its source ends, and the rest.
func records(t *testing.T, src io.Reader) (got [][]byte, rest []byte) {
	t.Helper()
	r := oncrpc.NewReader(src, lent{}, 1<<20)
	for {
		rec, _, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if rec != nil {
			got = append(got, bytes.Clone(rec))
			continue
		}
		if r.Fill() != nil {
			return got, r.Rest()
		}
	}
}

// A stream that one reader breaks off and another goes on with gives the same records,
// wherever it is cut.
func TestRest(t *testing.T) {
	var stream []byte
	var want [][]byte
	for i, sizes := range [][]int{{9}, {0, 3, 0, 4}, {1}, {300_000}, {70_000, 1, 250_000}, {}, {5, 0}} {
		var rec []byte
		for j, n := range append(sizes, 2) {
			last := byte(0)
			if j == len(sizes) {
				last = 0x80
			}
			part := bytes.Repeat([]byte{byte(10*i + j)}, n)
			stream = append(append(stream, last, byte(n>>16), byte(n>>8), byte(n)), part...)
			rec = append(rec, part...)
		}
		want = append(want, rec)
	}
	for cut := 0; cut <= len(stream); cut += 1 + cut/400*100 {
		got, rest := records(t, bytes.NewReader(stream[:cut]))
		more, left := records(t, io.MultiReader(bytes.NewReader(rest), bytes.NewReader(stream[cut:])))
		if got = append(got, more...); len(got) != len(want) || len(left) != 0 {
			t.Fatalf("cut at %d: got %d records and %d bytes, want %d", cut, len(got), len(left), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("cut at %d: record %d differs", cut, i)
			}
		}
	}
}
