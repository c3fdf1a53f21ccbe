package nfs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	// haltTime is how long the first try to halt makes clients wait, at most.
	haltTime = 100 * time.Millisecond
	// haltPause is how long calls are answered until the second.
	haltPause = 200 * time.Millisecond
)

// Conn is a connection that goes from one Server to another.
type Conn struct {
	net.Conn
	// Unread is the beginning of a call, which the former server has read.
	Unread []byte
}

// Halt is a Server at rest between two calls: it accepts no connection, reads no call,
// and has answered all that it read. Its end is Resume or Detach, and nothing else is to be
// asked of the Server before.
type Halt struct {
	// Since is when clients began to wait.
	Since time.Time

	srv *Server
}

// Halt brings the server to rest. Calls that take long, such as a copy-up, do not make
// clients wait for it: then all goes on, and Halt tries again, more and more seldom and with
// more and more patience, until ctx ends. Listeners have to know deadlines, as those of
// package net do.
func (s *Server) Halt(ctx context.Context) (*Halt, error) {
	for start := time.Now(); ; {
		passed := time.Since(start)
		h, err := s.tryHalt(ctx, max(haltTime, passed/20))
		if err == nil || !errors.Is(err, errUnderWay) {
			return h, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w for %s", err, time.Since(start).Round(time.Second))
		case <-time.After(max(haltPause, passed/2)):
		}
	}
}

var (
	errUnderWay = errors.New("calls have been under way")
	// errHalted is the end of a connection's reading for as long as the server is halted.
	errHalted = errors.New("halted")
)

// tryHalt gives up, and lets all go on, when the calls under way take longer than patience.
func (s *Server) tryHalt(ctx context.Context, patience time.Duration) (*Halt, error) {
	h := &Halt{Since: time.Now(), srv: s}
	halted, err := s.peers.halt()
	if err != nil {
		return nil, err
	}
	if err := s.setDeadlines(time.Unix(1, 0)); err != nil {
		h.Resume()
		return nil, err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-halted.quiet:
		return h, nil
	case <-ctx.Done():
	case <-timer.C:
	}
	h.Resume()
	return nil, errUnderWay
}

// setDeadlines bounds Accept.
func (s *Server) setDeadlines(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		d, ok := l.(interface{ SetDeadline(time.Time) error })
		if !ok {
			return fmt.Errorf("a listener on %s cannot be halted", l.Addr())
		}
		if err := d.SetDeadline(t); err != nil {
			return fmt.Errorf("halt the listener: %w", err)
		}
	}
	return nil
}

// Resume has the server go on.
func (h *Halt) Resume() {
	_ = h.srv.setDeadlines(time.Time{}) // fails only for a listener that is closed
	h.srv.peers.resume()
}

// Detach closes the server, but not its connections: they are the caller's from then on.
func (h *Halt) Detach() []Conn {
	h.srv.mu.Lock()
	h.srv.closed = true
	h.srv.mu.Unlock()
	conns := h.srv.peers.detach()
	h.srv.peers.running.Wait()
	return conns
}

// halt is what connections and accept loops wait for. The peers' mu guards it.
type halt struct {
	quiet    chan struct{} // gets something when all wait
	over     chan struct{} // closed when they are to go on, or to end
	detached bool
	waiting  int     // how many do
	conns    []*peer // the connections among them
}

// halt has all connections end their reading, and come to await.
func (s *peers) halt() (*halt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.halted != nil {
		return nil, errors.New("the server ends, or halts already")
	}
	s.halted = &halt{quiet: make(chan struct{}, 1), over: make(chan struct{})}
	for p := range s.all {
		p.halt(true)
	}
	s.tally(0)
	return s.halted, nil
}

// tally counts connections and accept loops in and out that are not halted.
func (s *peers) tally(n int) {
	s.active += n
	if s.active > 0 || s.halted == nil {
		return
	}
	select {
	case s.halted.quiet <- struct{}{}:
	default:
	}
}

// start counts an accept loop in, finish counts it out.
func (s *peers) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally(1)
}

func (s *peers) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally(-1)
}

// await waits for the end of a halt, as the connection p or, without one, as an accept
// loop. It reports whether to go on.
func (s *peers) await(p *peer) (goOn bool) {
	s.mu.Lock()
	h := s.halted
	if h == nil {
		s.mu.Unlock()
		return true
	}
	h.waiting++
	if p != nil {
		h.conns = append(h.conns, p)
	}
	s.tally(-1)
	s.mu.Unlock()
	<-h.over
	return !h.detached
}

// resume counts those who waited in again itself: they may be late for the next halt.
func (s *peers) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.all {
		p.halt(false)
	}
	s.endHalt()
}

func (s *peers) detach() []Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.halted.detached = true, true
	var conns []Conn
	for _, p := range s.halted.conns {
		conns = append(conns, Conn{p.nc, p.left})
	}
	s.endHalt()
	return conns
}

func (s *peers) endHalt() {
	h := s.halted
	s.halted = nil
	s.tally(h.waiting)
	close(h.over)
}

// settle waits until no call is with a worker, and reports false when the halt was given up
// before: then reading goes on.
func (c *conn) settle() bool {
	over := c.srv.peers.haltOver()
	if over == nil {
		return false
	}
	taken := 0
	defer func() {
		for range taken {
			<-c.calls
		}
	}()
	for ; taken < maxCalls; taken++ {
		select {
		case <-over:
			return false
		case c.calls <- struct{}{}:
		}
	}
	return true
}

// haltOver is closed at the end of the halt that there is; nil: there is none.
func (s *peers) haltOver() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.halted == nil {
		return nil
	}
	return s.halted.over
}

// halt ends reading for a time. Who reads while that passes may be told late, and reads on.
func (p *peer) halt(halting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halting = halting
	if halting {
		_ = p.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// whyWaked is err, of a read, where that ends the connection; else it is errHalted, or
// errIdle where somebody had the connection look up.
func (p *peer) whyWaked(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closing || !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case p.halting:
		return errHalted
	}
	return errIdle
}
