package nfs

import (
	"net"
	"sync"
	"time"
)

const (
	// patience is how long a client may take over reading what it asked for,
	// at least; it may be twice as long.
	patience = 30 * time.Second
	// keepSize bounds the memory that a batch keeps.
	keepSize = 256 << 10
)

// sender writes replies to a connection: one goroutine at a time does, and takes
// along whatever the others have ready.
type sender struct {
	nc      net.Conn
	start   time.Time // from which until counts: to read the date too takes as long again
	meter   *meter
	release func(block []byte) // called for each reply of add and addBlock that is gone

	mu    sync.Mutex
	idle  sync.Cond // busy has become false
	busy  bool      // somebody writes
	err   error     // of the first write that failed: there are no more
	ready batch

	// What follows is for whoever writes.
	batch batch
	until time.Duration // the write deadline
	vec   [][]byte
	rest  net.Buffers
}

// batch are replies of workers.
type batch struct {
	calls  int      // replies in small
	small  []byte   // joined
	blocks [][]byte // a reply each
	timed  []timing // the calls among them that are
}

func (b *batch) empty() bool { return b.calls == 0 && len(b.blocks) == 0 }

func (b *batch) time(t timing) {
	if t.timed {
		b.timed = append(b.timed, t)
	}
}

func newSender(nc net.Conn, start time.Time, m *meter, release func([]byte)) *sender {
	s := &sender{nc: nc, start: start, meter: m, release: release}
	s.idle.L = &s.mu
	return s
}

// write writes p, and returns when it has been written.
func (s *sender) write(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.busy {
		s.idle.Wait()
	}
	s.drain(p)
	return s.err
}

// add sends a copy of a reply, sooner or later.
func (s *sender) add(p []byte, t timing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready.small = append(s.ready.small, p...)
	s.ready.calls++
	s.ready.time(t)
	if !s.busy {
		s.drain(nil)
	}
}

// addBlock sends a reply that is released when it is gone.
func (s *sender) addBlock(p []byte, t timing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready.blocks = append(s.ready.blocks, p)
	s.ready.time(t)
	if !s.busy {
		s.drain(nil)
	}
}

// failed reports whether replies can no longer be sent.
func (s *sender) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

// drain writes p and all that is ready, until nothing is. The lock is held, but
// not while writing.
func (s *sender) drain(p []byte) {
	s.busy = true
	for len(p) > 0 || !s.ready.empty() {
		s.batch, s.ready = s.ready, s.batch
		err := s.err
		s.mu.Unlock()
		if err == nil {
			err = s.put(p)
		}
		s.discard()
		p = nil
		s.mu.Lock()
		s.err = err
	}
	s.busy = false
	s.idle.Signal()
}

// put writes p and the batch.
func (s *sender) put(p []byte) error {
	if now := time.Since(s.start); s.until-now < patience {
		s.until = now + 2*patience
		_ = s.nc.SetWriteDeadline(s.start.Add(s.until)) // the write tells
	}
	n, err := s.putAll(p)
	s.meter.sent.Add(uint64(n))
	if len(s.batch.timed) > 0 {
		s.meter.written(s.batch.timed, time.Since(s.start))
	}
	if err != nil {
		s.nc.Close() // ends the reader too
	}
	return err
}

func (s *sender) putAll(p []byte) (n int, err error) {
	s.vec = s.vec[:0]
	for _, part := range [...][]byte{p, s.batch.small} {
		if len(part) > 0 {
			s.vec = append(s.vec, part)
		}
	}
	s.vec = append(s.vec, s.batch.blocks...)
	if len(s.vec) == 1 { // which a write does at less cost
		return s.nc.Write(s.vec[0])
	}
	s.rest = s.vec
	sent, err := s.rest.WriteTo(s.nc)
	return int(sent), err
}

// discard empties the batch.
func (s *sender) discard() {
	b := &s.batch
	for range b.calls {
		s.release(nil)
	}
	for i, p := range b.blocks {
		s.release(p)
		b.blocks[i] = nil
	}
	clear(s.vec)
	b.calls, b.small, b.blocks, b.timed = 0, b.small[:0], b.blocks[:0], b.timed[:0]
	if cap(b.small) > keepSize {
		b.small = nil
	}
}
