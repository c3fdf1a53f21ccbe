// Package soak has a test that works a server for long, in as many ways at once as
// clients do, and holds that it needs no more of anything at the end than near the beginning:
//
//	go test ./integration/soak -soak.time 30m -v
//
// The server is in a process of its own, whose memory, goroutines and open files are
// sampled. Of each the median of the last fifth of the time may not be above that of the
// second, but for what varies. At the end, when all clients are gone and the overlay is
// closed, no goroutine is left (go.uber.org/goleak). Every answer is looked at meanwhile.
package soak
