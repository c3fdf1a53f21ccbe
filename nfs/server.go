package nfs

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/nixnfsd/nixnfsd/internal/readable"
)

// Options say what a Server serves, and to whom.
type Options struct {
	FS     FS
	Key    Key    // of the file handles; see LoadKey
	Export string // the path that clients mount, such as /nix
	// Owner is the uid whose calls are served; those of uid 0 are too, since the
	// client's kernel calls as root on everybody's behalf.
	Owner uint32
	// PeerUID tells whose a connection is: one that is not the owner's or root's, or of which
	// there is no telling, is closed. Nil lets everybody connect.
	PeerUID func(net.Conn) (uid uint32, err error)
	// ShareRead lets the calls of other users read what the modes let them.
	ShareRead bool
	// Replies remembers calls that must not run twice; see OpenReplies. Nil remembers
	// them as long as the Server lives.
	Replies *Replies
	// Log gets what an administrator wants to know, and with level debug or
	// trace every change or call. Nil discards it.
	Log *logrus.Logger
	// Workers is how many calls may wait for the disk at once. 0 means 16 or,
	// if that is more, four for each processor.
	Workers int
}

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("server closed")

// acceptPause is how long Serve waits when there are no descriptors left.
const acceptPause = 50 * time.Millisecond

// Server serves one file system over NFSv3 and MOUNT. Its methods are safe for
// concurrent use.
type Server struct {
	fs       FS
	handles  handles
	fsid     uint64
	export   string
	owner    uint32
	peerUID  func(net.Conn) (uint32, error)
	shared   bool // Options.ShareRead
	log      *logrus.Logger
	start    uint64 // another for each Server: see verifier
	workers  chan struct{}
	blocks   *blockPool
	requests sync.Pool
	peers    *peers
	doors    chan struct{} // taken by each connection that is not a peer's yet
	refused  seldom        // connections that are not admitted
	strained seldom        // connections that cannot be accepted
	accepted atomic.Uint64 // connections
	refusals atomic.Uint64 // connections that are not admitted, all of them
	meters   meters
	booted   time.Time           // when the machine was started
	alive    net.KeepAliveConfig // of connections
	replies  *Replies
	// writes are the latest WRITEs, which would drive all others out of replies. The next server knows
	// nothing of them: a client overwrites nothing before it has the reply. One that is unread on a
	// connection its client gave up, when that is handed over, can run again there.
	writes *Replies
	poller readable.Poller // of connections whose reader is with a call

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
}

// New makes a Server. It does not take hold of anything that has to be closed.
func New(o Options) *Server {
	s := &Server{
		fs: o.FS, handles: newHandles(o.Key), export: o.Export, log: o.Log,
		owner: o.Owner, peerUID: o.PeerUID, shared: o.ShareRead, doors: make(chan struct{}, maxDoors),
		blocks: newBlockPool(), peers: newPeers(connLimit()), booted: booted(), alive: keepAlive(),
		replies: o.Replies, writes: newReplies(o.Key), listeners: map[net.Listener]struct{}{},
	}
	s.fsid = s.handles.fsid()
	if s.replies == nil {
		s.replies = newReplies(o.Key)
	}
	if s.log == nil {
		s.log = logrus.New()
		s.log.SetOutput(io.Discard)
		s.log.SetLevel(logrus.PanicLevel)
	}
	if o.Workers <= 0 {
		o.Workers = max(16, 4*runtime.GOMAXPROCS(0))
	}
	s.workers = make(chan struct{}, o.Workers)
	s.start = anyNumber()
	s.requests.New = func() any { return newRequest(s, "") }
	return s
}

func anyNumber() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}

// verifier is the write verifier (RFC 1813 §3.3.7): another after each start, and when data was
// lost that was written and not committed. Clients send again what they have from before then.
func (s *Server) verifier() uint64 { return s.start + s.fs.Losses() }

// Serve answers the calls that come in over l's connections, until Shutdown: then
// it returns ErrServerClosed. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.listen(l) {
		return ErrServerClosed
	}
	defer s.unlisten(l)
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			s.accept(nc)
		case s.isClosed():
			return ErrServerClosed
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.peers.await(nil)
		case passes(err):
			if n := s.strained.add(s.clock()); n > 0 {
				s.log.WithFields(logrus.Fields{fieldErr: err, fieldTries: n}).Warn("cannot accept a connection")
			}
			time.Sleep(acceptPause)
		default:
			return fmt.Errorf("accept: %w", err)
		}
	}
}

// passes reports whether an error of Accept is worth another try.
func passes(err error) bool {
	for _, e := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ECONNABORTED, syscall.ENOMEM, syscall.ENOBUFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *Server) listen(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.listeners[l] = struct{}{}
		s.peers.start()
	}
	return !s.closed
}

func (s *Server) unlisten(l net.Listener) {
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
	s.peers.finish()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// accept serves a connection, or closes it.
func (s *Server) accept(nc net.Conn) {
	if !s.peers.arrive() {
		nc.Close()
		return
	}
	s.doors <- struct{}{}
	go func() {
		var p *peer
		if s.admit(nc) {
			p = s.enter(Conn{Conn: nc})
		} else {
			nc.Close()
		}
		<-s.doors
		s.run(p)
	}()
}

// Adopt serves a connection that another Server had, which has admitted it.
func (s *Server) Adopt(c Conn) {
	if !s.peers.arrive() {
		c.Close()
		return
	}
	p := s.enter(c)
	go s.run(p)
}

// enter gives a connection a seat, or closes it and gives nil.
func (s *Server) enter(c Conn) *peer {
	s.keep(c.Conn)
	s.accepted.Add(1)
	s.peers.seat()
	p := newPeer(s, c.Conn)
	p.left = c.Unread
	if !s.peers.enter(p) {
		c.Close()
		return nil
	}
	return p
}

// run serves a connection that has arrived, if there is one, until its end.
func (s *Server) run(p *peer) {
	defer s.peers.depart()
	if p != nil {
		p.run()
		s.peers.leave(p)
	}
}

// Shutdown stops accepting connections and reading calls, waits until the calls
// that were read have been answered, and closes the connections. When ctx ends
// before that, it closes them at once and gives ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	done := make(chan struct{})
	go func() {
		s.peers.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.peers.close()
	return fmt.Errorf("calls in progress: %w", ctx.Err())
}

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range s.listeners {
		l.Close()
	}
	s.peers.stop()
}

// host is an address without its port.
func host(a net.Addr) string {
	h, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return strings.TrimSpace(a.String())
	}
	return h
}
