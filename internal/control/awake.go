package control

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// ErrSilent is a server that runs and does not answer: it was stopped by a signal, or waits for a disk.
var ErrSilent = errors.New("it runs, and does not answer: end it, and start it again")

// patience is how long a server may be silent. An order may take as long as it has to, and other questions
// are answered meanwhile.
type patience struct {
	pause  time.Duration // between two questions whether it is awake
	answer time.Duration // for the answer to one
}

// usual has room for a restart, in which nobody answers.
const (
	usualPause  = 5 * time.Second
	usualAnswer = 20 * time.Second
)

// watch calls asleep when the server that holds dir does not answer any more, and returns when it has or
// ctx ends.
func (p patience) watch(ctx context.Context, dir string, asleep context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(p.pause):
		}
		if !p.awake(ctx, dir) {
			asleep(ErrSilent)
			return
		}
	}
}

// awake reports whether a server answers anything, such as that it does not know this path, or is gone
// for good, which whoever waits for it sees by himself.
func (p patience) awake(ctx context.Context, dir string) bool {
	ctx, cancel := context.WithTimeout(ctx, p.answer)
	defer cancel()
	resp, err := send(ctx, dir, http.MethodGet, "/", http.NoBody)
	if err != nil {
		return !errors.Is(ctx.Err(), context.DeadlineExceeded)
	}
	resp.Body.Close()
	return true
}
