package testenv

import (
	"testing"
	"time"
)

// Await waits until cond holds, and fails the test when that takes far longer than it does on a
// machine that is busy.
func Await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	const limit, pause = 2 * time.Minute, 2 * time.Millisecond
	for end := time.Now().Add(limit); !cond(); time.Sleep(pause) {
		if time.Now().After(end) {
			t.Fatal("waited in vain until", what)
		}
	}
}
