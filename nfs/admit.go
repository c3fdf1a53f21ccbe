package nfs

import (
	"net"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	// maxDoors bounds the connections that are being looked at, or wait for a seat.
	maxDoors = 16
	// hush is how long nothing is logged of what is counted by seldom.
	hush = time.Minute
)

// admits decides who may connect: the owner, and root, as whom kernels do. Whose connection it
// is that nobody can tell is not let in.
func admits(owner, uid uint32, err error) bool {
	return err == nil && (uid == owner || uid == 0)
}

// admit reports whether a connection is one of those that may be. Who is not admitted is told
// nothing, and nobody else gives up a seat for him.
func (s *Server) admit(nc net.Conn) bool {
	if s.peerUID == nil {
		return true
	}
	uid, err := s.peerUID(nc)
	if admits(s.owner, uid, err) {
		return true
	}
	s.refusals.Add(1)
	if n := s.refused.add(s.clock()); n > 0 {
		fields := logrus.Fields{fieldClient: host(nc.RemoteAddr()), fieldRefused: n}
		if err == nil {
			fields[fieldUID] = uid
		} else {
			fields[fieldErr] = err
		}
		s.log.WithFields(fields).Warn("connection refused: it is neither the owner's nor root's")
	}
	return false
}

// seldom counts what others can bring about as often as they like, which is not to fill the log.
type seldom struct {
	mu    sync.Mutex
	count int           // not logged yet
	quiet time.Duration // until when, by Server.clock
}

// add counts one more. When it is time to log them it gives how many there were, else 0.
func (s *seldom) add(now time.Duration) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if now < s.quiet {
		return 0
	}
	n, s.count, s.quiet = s.count, 0, now+hush
	return n
}
