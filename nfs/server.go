package nfs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
)

// Options say what a Server serves, and to whom.
type Options struct {
	FS     FS
	Key    Key    // of the file handles; see LoadKey
	Export string // the path that clients mount, such as /nix
	// Owner is the uid whose calls are served; those of uid 0 are too, since the
	// client's kernel calls as root on everybody's behalf.
	Owner uint32
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
	log      *logrus.Logger
	verifier [8]byte // write verifier (RFC 1813 §3.3.7): another after each start
	mounts   mounts
	workers  chan struct{}
	blocks   *blockPool
	requests sync.Pool
	peers    *peers
	started  time.Time
	alive    net.KeepAliveConfig // of connections

	mu        sync.Mutex
	closed    bool
	listeners map[net.Listener]struct{}
}

// New makes a Server. It does not take hold of anything that has to be closed.
func New(o Options) *Server {
	s := &Server{
		fs: o.FS, handles: newHandles(o.Key), export: o.Export, owner: o.Owner, log: o.Log,
		blocks: newBlockPool(), peers: newPeers(connLimit()), started: time.Now(), alive: keepAlive(),
		listeners: map[net.Listener]struct{}{},
	}
	s.fsid = s.handles.fsid()
	if s.log == nil {
		s.log = logrus.New()
		s.log.SetOutput(io.Discard)
		s.log.SetLevel(logrus.PanicLevel)
	}
	if o.Workers <= 0 {
		o.Workers = max(16, 4*runtime.GOMAXPROCS(0))
	}
	s.workers = make(chan struct{}, o.Workers)
	rand.Read(s.verifier[:]) // never fails
	s.requests.New = func() any { return newRequest(s, "") }
	return s
}

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
			s.log.WithField(fieldErr, err).Warn("cannot accept a connection")
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

// accept serves a connection.
func (s *Server) accept(nc net.Conn) {
	s.keep(nc)
	s.Adopt(Conn{Conn: nc})
}

// Adopt serves a connection that another Server had, or a new one.
func (s *Server) Adopt(c Conn) {
	s.peers.seat()
	p := newPeer(s, c.Conn)
	p.left = c.Unread
	if !s.peers.enter(p) {
		c.Close()
		return
	}
	go func() {
		p.run()
		s.peers.leave(p)
	}()
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
