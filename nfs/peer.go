package nfs

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
)

const (
	// maxBusy bounds the connections that have memory for calls and replies.
	maxBusy = 32
	// idle is how long after its last call a client says nothing, at least, until its
	// connection gives that memory up; it may be twice as long.
	idle = time.Second / 4
	// pause is how long a connection that wants to be busy leaves the others alone.
	pause = 10 * time.Millisecond
	// starving is how long a connection waits for others to be idle before it has
	// the one end that has been stuck the longest.
	starving = time.Second
)

var errIdle = errors.New("nothing to do")

// peer is a client's connection. While the client says nothing it takes next to
// no memory; when it calls, a conn answers, of which there are only so many.
type peer struct {
	srv    *Server
	nc     net.Conn
	client string
	heard  atomic.Int64 // when something was read last, in nanoseconds of Server.clock
	date   int64        // see when; of the reading goroutine
	stamps stampClock   // of the reading goroutine

	left []byte // the beginning of a call, of before the reading was halted

	mu               sync.Mutex // guards what follows, and setting the read deadline
	closing, halting bool
}

func newPeer(s *Server, nc net.Conn) *peer {
	p := &peer{srv: s, nc: nc, client: host(nc.RemoteAddr())}
	p.hear()
	return p
}

// run serves the connection until its end.
func (p *peer) run() {
	err := errIdle
	for err == errIdle {
		err = p.turn()
		if err == errHalted {
			if !p.srv.peers.await(p) {
				return // it is another's from now on
			}
			err = errIdle
		}
	}
	if p.isClosing() {
		p.part()
	}
	p.nc.Close()
	p.ended(err)
}

// part lets the client take what it was sent: to close a connection on which
// there are calls that were not read would reset it, replies and all.
func (p *peer) part() {
	if w, ok := p.nc.(interface{ CloseWrite() error }); !ok || w.CloseWrite() != nil {
		return
	}
	_ = p.nc.SetReadDeadline(time.Now().Add(parting))
	_, _ = io.Copy(io.Discard, p.nc)
}

// turn waits for the client to call, and answers until it is idle again.
func (p *peer) turn() error {
	p.deadline(time.Time{})
	src := p.source()
	var first [1]byte
	if _, err := src.Read(first[:]); err != nil {
		return p.whyWaked(err)
	}
	p.hear()
	p.srv.peers.wake(p)
	defer p.srv.peers.rest(p)
	return newConn(p, src, first[:]).run()
}

// source is the connection, behind what was read of it before a halt.
func (p *peer) source() io.Reader {
	if len(p.left) == 0 {
		return p.nc
	}
	left := bytes.NewReader(p.left)
	p.left = nil
	return io.MultiReader(left, p.nc)
}

// clock is the time since the machine was started: who sets its clock does not make
// clients look silent, or heard just now, or their calls old.
func (s *Server) clock() time.Duration { return time.Since(s.booted) }

func (p *peer) hear() {
	p.heard.Store(int64(p.srv.clock()))
	p.date = 0
}

// when is the date at which it was first asked for since something was read: before the call that
// needs it runs. Few do, and to read the clock is a system call on some machines.
func (p *peer) when() int64 {
	if p.date == 0 {
		p.date = time.Now().UnixNano()
	}
	return p.date
}

// silent is for how long nothing has been read.
func (p *peer) silent() time.Duration { return p.srv.clock() - time.Duration(p.heard.Load()) }

// ended logs why the connection ended, if that was not the client's will.
func (p *peer) ended(err error) {
	e := p.srv.log.WithField(fieldClient, p.client).WithError(err)
	switch {
	case errors.Is(err, oncrpc.ErrTooLong), errors.Is(err, oncrpc.ErrFragments), errors.Is(err, errNoCall):
		e.Warn("connection closed: not a client's calls")
	case errors.Is(err, os.ErrDeadlineExceeded) && !p.isClosing():
		e.Warn("connection closed: the client stopped in the middle of a call")
	case err != io.EOF:
		e.Debug("connection ended")
	}
}

// deadline bounds the next reads; the zero time is no bound.
func (p *peer) deadline(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closing && !p.halting {
		_ = p.nc.SetReadDeadline(t) // fails only when the connection is closed
	}
}

// stop ends reading.
func (p *peer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
	_ = p.nc.SetReadDeadline(time.Unix(1, 0))
}

func (p *peer) isClosing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closing
}

// peers are the connections that there are. When there are too many, the one that
// has been silent the longest has to go: a client that lives connects anew.
type peers struct {
	seats chan struct{} // taken by each connection
	turns chan struct{} // taken by each that is busy

	running sync.WaitGroup // connections

	mu     sync.Mutex
	closed bool
	all    map[*peer]struct{}
	busy   map[*peer]struct{} // those that have a conn
	active int                // connections and accept loops that are not halted
	halted *halt              // the halt that there is
}

func newPeers(limit int) *peers {
	return &peers{
		seats: make(chan struct{}, limit), turns: make(chan struct{}, maxBusy),
		all: map[*peer]struct{}{}, busy: map[*peer]struct{}{},
	}
}

// connLimit is how many connections there may be: the rest of the descriptors is
// for files.
func connLimit() int {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return maxBusy
	}
	return connsOf(r.Cur)
}

// connsOf is how many connections there may be of so many files.
func connsOf(files uint64) int {
	const most, share = 4096, 4
	return int(max(maxBusy, min(files/share, most)))
}

// present is how many connections there are, and how many are busy.
func (s *peers) present() (all, busy int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all), len(s.busy)
}

// seat makes room for one more connection.
func (s *peers) seat() {
	for wait := time.Duration(0); !take(s.seats, wait); wait = starving {
		s.end(s.all)
	}
}

// arrive counts a connection in, unless the server is closed. It is not a peer's yet.
func (s *peers) arrive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.running.Add(1)
	s.tally(1)
	return true
}

// depart ends what arrive began.
func (s *peers) depart() {
	s.mu.Lock()
	s.tally(-1)
	s.mu.Unlock()
	s.running.Done()
}

// enter takes a connection up that has a seat, unless the server is closed.
func (s *peers) enter(p *peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		<-s.seats
		return false
	}
	s.all[p] = struct{}{}
	if s.halted != nil {
		p.halt(true)
	}
	return true
}

// leave ends what enter began.
func (s *peers) leave(p *peer) {
	s.mu.Lock()
	delete(s.all, p)
	s.mu.Unlock()
	<-s.seats
}

// stop lets nobody in any more, and ends the reading of all.
func (s *peers) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for p := range s.all {
		p.stop()
	}
}

// close ends all connections at once.
func (s *peers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.all {
		p.nc.Close()
	}
}

// wake waits until a connection may be busy: until another is idle or, when all
// are stuck for long, until one has been ended.
func (s *peers) wake(p *peer) {
	for start := time.Now(); !take(s.turns, pause); {
		if time.Since(start) < starving {
			s.yield()
		} else {
			s.end(s.busy)
			start = time.Now()
		}
	}
	s.mu.Lock()
	s.busy[p] = struct{}{}
	s.mu.Unlock()
}

// yield has connections rest that are idle, before their time.
func (s *peers) yield() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.busy {
		if p.silent() > pause {
			p.deadline(time.Unix(1, 0))
		}
	}
}

// rest ends what wake began.
func (s *peers) rest(p *peer) {
	s.mu.Lock()
	delete(s.busy, p)
	s.mu.Unlock()
	<-s.turns
}

// take takes one of a bounded number, and reports false when there was none for long.
func take(tokens chan struct{}, wait time.Duration) bool {
	select {
	case tokens <- struct{}{}:
		return true
	default:
	}
	select {
	case tokens <- struct{}{}:
		return true
	case <-time.After(wait):
		return false
	}
}

// end closes the stalest of some connections, which is not chosen again.
func (s *peers) end(from map[*peer]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var p *peer
	for q := range from {
		if p == nil || q.heard.Load() < p.heard.Load() {
			p = q
		}
	}
	if p == nil {
		return
	}
	delete(from, p)
	p.srv.log.WithField(fieldClient, p.client).Warn("connection closed: it was silent for long, and there are too many")
	p.nc.Close()
}
