package nfs

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
)

const (
	// flushSize is how many bytes of replies are joined into one write.
	flushSize = 128 << 10
	// smallCall bounds the calls and replies that are copied rather than given a
	// block of their own.
	smallCall = 16 << 10
	// maxCalls bounds a connection's calls that are with workers.
	maxCalls = 64
	// maxLean is how many small batches it takes to give up memory.
	maxLean = 64
	// stall is how long a client may take over the rest of a call that it began,
	// at least; it may be twice as long.
	stall = time.Minute
	// parting is how long a client may take over closing its side at a shutdown.
	parting = time.Second / 2
)

var errNoCall = errors.New("message is not a call")

// conn is a connection. Its run method reads it, answers what cannot block, and
// hands the rest to workers.
type conn struct {
	srv    *Server
	nc     net.Conn
	client string
	in     *oncrpc.Reader
	q      *request // of the reading goroutine; its encoder holds the batch of replies
	out    *sender
	calls  chan struct{} // taken by each call that is with a worker
	blocks *blocks
	until  time.Time // the read deadline
	lean   int       // batches that were small while the memory for them was not

	working sync.WaitGroup

	mu      sync.Mutex // guards closing, and setting the read deadline
	closing bool
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{
		srv: s, nc: nc, client: host(nc.RemoteAddr()),
		calls: make(chan struct{}, maxCalls),
	}
	c.blocks = newBlocks(s.blocks)
	c.out = newSender(nc, c.release)
	c.q = newRequest(s, c.client)
	c.in = oncrpc.NewReader(nc, c, maxRecord)
	return c
}

// run serves the connection until its end.
func (c *conn) run() {
	err := c.read()
	c.flush()
	if rec := c.in.Abandon(); rec != nil {
		c.blocks.give(rec)
	}
	c.working.Wait()
	if c.isClosing() {
		c.part()
	}
	c.nc.Close()
	c.ended(err)
}

// part lets the client take what it was sent: to close a connection on which
// there are calls that were not read would reset it, replies and all.
func (c *conn) part() {
	if w, ok := c.nc.(interface{ CloseWrite() error }); !ok || w.CloseWrite() != nil {
		return
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(parting))
	_, _ = io.Copy(io.Discard, c.nc)
}

// ended logs why the connection ended, if that was not the client's will.
func (c *conn) ended(err error) {
	e := c.srv.log.WithField(fieldClient, c.client).WithField(fieldErr, err)
	switch {
	case errors.Is(err, oncrpc.ErrTooLong), errors.Is(err, oncrpc.ErrFragments), errors.Is(err, errNoCall):
		e.Warn("connection closed: not a client's calls")
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.isClosing():
		e.Warn("connection closed: the client stopped in the middle of a call")
	case err != io.EOF:
		e.Debug("connection ended")
	}
}

// read answers all calls that have arrived before it waits for more.
func (c *conn) read() error {
	for {
		rec, own, err := c.in.Next()
		if err != nil {
			return err
		}
		if rec != nil {
			if err := c.serve(rec, own); err != nil {
				return err
			}
			continue
		}
		if err := c.flush(); err != nil {
			return err
		}
		c.watch(c.in.Partial())
		if err := c.in.Fill(); err != nil {
			return err
		}
	}
}

// serve answers a call or hands it to a worker. With own the record is in a
// block, which serve gives back.
func (c *conn) serve(rec []byte, own bool) error {
	done, err := c.inline(rec)
	if !done && err == nil {
		return c.handOver(rec, own)
	}
	if own {
		c.blocks.give(rec)
	}
	if err == nil && len(c.q.e.B) >= flushSize {
		err = c.flush()
	}
	return err
}

// inline reports false when the call is one for a worker.
func (c *conn) inline(rec []byte) (done bool, err error) {
	q := c.q
	if !q.begin(rec) {
		return false, errNoCall
	}
	if !q.route() {
		return true, nil
	}
	if q.proc.is(large) && len(rec) > smallCall {
		q.reject(oncrpc.GarbageArgs) // nothing that gets a large reply takes long arguments
		return true, nil
	}
	return !q.proc.is(slow) && q.answer(false), nil
}

// flush writes the batch of replies.
func (c *conn) flush() error {
	if len(c.q.e.B) == 0 {
		return nil
	}
	err := c.out.write(c.q.e.B)
	c.reuse(c.q.e.B)
	return err
}

// reuse keeps a batch's memory for the next one, unless it has long been far
// more than is needed.
func (c *conn) reuse(b []byte) {
	if cap(b) <= keepSize || len(b) > keepSize/4 {
		c.lean = 0
	} else if c.lean++; c.lean > maxLean {
		c.lean, b = 0, nil
	}
	c.q.e.B = b[:0]
}

// Big lends the reader a block for a record that needs one (oncrpc.Memory).
func (c *conn) Big() []byte { return c.takeBlock() }

// takeBlock waits for a block. What has been answered does not wait with it.
func (c *conn) takeBlock() []byte {
	c.acquire(c.blocks.mine)
	return c.blocks.take()
}

// release ends a call that was with a worker, whose reply has been sent, and
// gives back the block that the reply was in, if any.
func (c *conn) release(block []byte) {
	if block != nil {
		c.blocks.give(block)
	}
	<-c.calls
}

// acquire takes one of a bounded number, on the reading goroutine: when there is
// none the connection is not read on.
func (c *conn) acquire(tokens chan struct{}) {
	select {
	case tokens <- struct{}{}:
	default:
		_ = c.flush() // the next flush gives the error again
		tokens <- struct{}{}
	}
}

// watch bounds the wait for the rest of a call; the wait for a call has no bound.
func (c *conn) watch(partial bool) {
	if partial {
		now := time.Now()
		if c.until.Sub(now) >= stall {
			return
		}
		c.until = now.Add(2 * stall)
	} else if c.until.IsZero() {
		return
	} else {
		c.until = time.Time{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		_ = c.nc.SetReadDeadline(c.until) // fails only when the connection is closed
	}
}

// stop ends reading.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
}

func (c *conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}
