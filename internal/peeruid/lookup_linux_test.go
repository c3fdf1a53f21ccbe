package peeruid

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// TestLooks has both ways of looking give the same.
func TestLooks(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		a, b := testenv.Connection(t, listen, "")
		e, err := endsOf(a)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := diag(e); err != nil {
			t.Logf("sock_diag is not to be had: %v", err)
		} else if got, err := e.owner(slices.Values([]socket{s})); err != nil || got != uint32(os.Getuid()) {
			t.Errorf("sock_diag: got %d, %v", got, err)
		}
		if got, err := e.owner(proc()); err != nil || got != uint32(os.Getuid()) {
			t.Errorf("/proc: got %d, %v", got, err)
		}
		b.Close()
		if s, err := diag(e); err == nil && s.live {
			t.Errorf("sock_diag, closed: got %+v", s)
		}
		if got, err := e.owner(proc()); !errors.Is(err, ErrClosed) && !errors.Is(err, ErrUnknown) {
			t.Errorf("/proc, closed: got %d, %v", got, err)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	c, _ := testenv.Connection(b, "127.0.0.1:0", "")
	for b.Loop() {
		if _, err := Of(c); err != nil {
			b.Fatal(err)
		}
	}
}
