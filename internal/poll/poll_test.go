package poll

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestUntil(t *testing.T) {
	fault, late := errors.New("fault"), errors.New("late")
	tt := []struct {
		name string
		look func(n int, ctx context.Context) (bool, error)
		want error
		took time.Duration
	}{
		{"at once", func(int, context.Context) (bool, error) { return true, nil }, nil, 0},
		{"at the third look", func(n int, _ context.Context) (bool, error) { return n == 3, nil }, nil, 2 * time.Second},
		{"a failure", func(n int, _ context.Context) (bool, error) {
			if n == 2 {
				return false, fault
			}
			return false, nil
		}, fault, time.Second},
		{"never", func(int, context.Context) (bool, error) { return false, nil }, late, 10500 * time.Millisecond},
		{"a look that is cut short", func(_ int, ctx context.Context) (bool, error) { <-ctx.Done(); return false, ctx.Err() }, late, 10500 * time.Millisecond},
	}
	for _, tc := range tt {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 10500*time.Millisecond, late)
			defer cancel()
			n, begun := 0, time.Now()
			err := Until(ctx, time.Second, func() (bool, error) { n++; return tc.look(n, ctx) })
			if !errors.Is(err, tc.want) || time.Since(begun) != tc.took {
				t.Errorf("%s: got %v after %s, want %v after %s", tc.name, err, time.Since(begun), tc.want, tc.took)
			}
		})
	}
}
