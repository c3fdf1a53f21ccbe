package units_test

import (
	"math"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/units"
)

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 1536 << 10: "1.5 MiB", 3 << 40: "3.0 TiB", math.MaxUint64: "16.0 EiB",
	} {
		if got := units.Bytes(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestThings(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 names", 1: "1 name", 2: "2 names"} {
		if got := units.Things(n, "name"); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 3: "3", 0.04: "0.0", 1.5: "1.5", 9.94: "9.9", 9.96: "10", 1234: "1234", 99999: "99999", 99999.6: "100.0k",
		999949: "999.9k", 999951: "1.0M", 12.3e6: "12.3M", 1.8e19: "18.0E",
	} {
		if got := units.Count(f); got != want || len(got) > 6 {
			t.Errorf("%v: got %q, want %q", f, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 µs", 470: "0.5 µs", 4700: "4.7 µs", 9960: "10 µs", 120 * time.Millisecond: "120 ms", 999499: "999 µs", 999501: "1.0 ms",
		90 * time.Second: "90 s",
	} {
		if got := units.Duration(d); got != want {
			t.Errorf("%d: got %q, want %q", d, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 3*time.Hour + 12*time.Minute: "3h12m",
		49*time.Hour + 59*time.Minute: "2d01h",
	} {
		if got := units.Age(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
