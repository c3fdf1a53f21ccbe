// Package poll waits for what nobody tells of, by looking again and again.
package poll

import (
	"context"
	"time"
)

// Until looks at once, and a pause after each look, until done is true or an error. When ctx ends first
// the error is its cause, also where that is what a look failed of.
func Until(ctx context.Context, pause time.Duration, look func() (done bool, err error)) error {
	for {
		done, err := look()
		switch {
		case done && err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}
