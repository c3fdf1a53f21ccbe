// Package readable tells those who are busy with something else when there is something to be
// read from a connection, and costs next to nothing as long as there is not.
//
// To have another goroutine wait in Read takes waking a thread up, twice. Here one thread
// waits for all connections in a system call, epoll_wait(2) or kevent(2): Go's own poller is
// of no use, since nobody may be waiting in it while those who would are busy.
//
// A notification may come late, after Disarm or Close, or once too often where a descriptor is
// used again: who gets it has to look.
package readable
