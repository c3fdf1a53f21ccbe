package nfs

import (
	"errors"
	"io"
	"sync"
	"syscall"
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

// conn answers the calls of a peer until that is idle. The goroutine that reads them
// answers what cannot block; at any other call it is a worker, and another one reads on if
// there is more to do.
type conn struct {
	*peer
	in     *oncrpc.Reader
	q      *request // of who reads; its encoder holds the batch of replies
	out    *sender
	calls  chan struct{} // taken by each call that is with a worker
	blocks *blocks
	origin uint64 // of the client's calls; see Replies
	meter  *meter
	got    int           // bytes of calls that the meter does not know of
	timed  []timing      // calls whose replies are in the batch
	until  time.Duration // the read deadline, of Server.clock
	begun  bool          // until is the bound of a call that is not whole yet
	waited bool          // who reads was with a slow call since it read
	lean   int           // batches that were small while the memory for them was not

	relay   *relay
	working sync.WaitGroup // goroutines that read or answer, beside run's
}

// newConn makes a conn that reads src, of which first has been read.
func newConn(p *peer, src io.Reader, first []byte) *conn {
	c := &conn{peer: p, calls: make(chan struct{}, maxCalls), origin: p.srv.replies.origin(p.client), meter: p.srv.meters.take()}
	c.relay = newRelay(func() { c.working.Go(c.lead) })
	if nc, ok := p.nc.(syscall.Conn); ok {
		c.relay.notifier = p.srv.poller.Notifier(nc, c.relay.arrived)
	}
	c.blocks = newBlocks(p.srv.blocks)
	c.out = newSender(p.nc, p.srv.booted, c.meter, c.release)
	c.q = newRequest(p.srv, p.client)
	c.in = oncrpc.NewReader(src, c, maxRecord)
	c.in.Unread(first)
	return c
}

// run answers until there is nothing to do, which is errIdle, or the connection ends.
func (c *conn) run() error {
	c.lead()
	err := <-c.relay.over
	c.flush()
	if err == errHalted {
		c.left = c.in.Rest()
	}
	if rec := c.in.Abandon(); rec != nil {
		c.blocks.give(rec)
	}
	c.working.Wait()
	c.relay.close()
	c.srv.meters.give(c.meter)
	return err
}

// lead reads whenever it is this goroutine's turn, until reading ends or enough others do.
func (c *conn) lead() {
	for c.relay.take() {
		err := c.read()
		for err == errHalted && !c.settle() {
			err = c.read()
		}
		if err != errPassedOn {
			c.relay.end(err)
		}
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
			c.begun = false
			if err := c.serve(rec, own); err != nil {
				return err
			}
			continue
		}
		if err := c.flush(); err != nil {
			return err
		}
		c.watch(c.in.Partial())
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// fill waits for more. When it was waked before its time (peers.yield), or calls
// are still with workers, it waits again.
func (c *conn) fill() error {
	err := c.in.Fill()
	if err == nil {
		c.hear()
		return nil
	}
	switch why := c.whyWaked(err); {
	case why != errIdle:
		return why
	case c.in.Partial():
		if c.srv.clock() >= c.until {
			return err
		}
		c.deadline(c.srv.booted.Add(c.until))
		return nil
	case len(c.calls) == 0:
		return errIdle
	}
	c.until = 0
	return nil
}

// serve answers a call, as a worker if that may block. With own the record is in a
// block, which serve gives back.
func (c *conn) serve(rec []byte, own bool) error {
	c.got += oncrpc.MarkSize + len(rec)
	done, err := c.inline(rec)
	if !done && err == nil {
		return c.answerSlow(rec, own)
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
		c.meter.rejected.Add(1)
		return true, nil
	}
	if q.proc.is(large) && len(rec) > smallCall {
		q.reject(oncrpc.GarbageArgs) // nothing that gets a large reply takes long arguments
		c.meter.rejected.Add(1)
		return true, nil
	}
	if q.proc.once() && c.replayed(rec) {
		return true, nil
	}
	at := len(q.e.B)
	c.begin(q)
	if q.proc.is(slow) || !q.answer(false) {
		return false, nil
	}
	c.end(q)
	c.keep(q, q.e.B[at:])
	return true, nil
}

// begin times one call of many.
func (c *conn) begin(q *request) {
	q.timing.timed = c.meter.due(q.slot)
	if q.timing.timed {
		q.timing = timing{timed: true, slot: q.slot, arrived: time.Duration(c.heard.Load()), began: c.srv.clock()}
	}
}

// end counts a call whose reply is in the batch.
func (c *conn) end(q *request) {
	c.meter.answered(q)
	if q.timing.timed {
		q.timing.ended = c.srv.clock()
		c.timed = append(c.timed, q.timing)
	}
}

// flush writes the batch of replies.
func (c *conn) flush() error {
	if c.got > 0 {
		c.meter.received.Add(uint64(c.got))
		c.got = 0
	}
	if len(c.q.e.B) == 0 {
		return nil
	}
	err := c.out.write(c.q.e.B)
	if len(c.timed) > 0 {
		c.meter.written(c.timed, c.srv.clock())
		c.timed = c.timed[:0]
	}
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

// watch bounds the wait for the rest of a call, or for a call. A call's bound stays
// until it is whole: a client that sends a byte now and then gains no time.
func (c *conn) watch(partial bool) {
	if partial && c.begun {
		return
	}
	c.begun = partial
	wait := idle
	if partial {
		wait = stall
	}
	// To read the clock is a system call on some machines: when it was read last will do, unless
	// that is long ago.
	if !partial && !c.waited && c.bounded(time.Duration(c.heard.Load()), wait) {
		return
	}
	c.waited = false
	now := c.srv.clock()
	if c.bounded(now, wait) {
		return
	}
	c.until = now + 2*wait
	c.deadline(c.srv.booted.Add(c.until))
}

// bounded reports whether the read deadline is after a wait from now on, and not much later.
func (c *conn) bounded(now, wait time.Duration) bool {
	left := c.until - now
	return left >= wait && left <= 2*wait
}
