package nfs

import "errors"

// errPassedOn is the end of a goroutine's reading that has become a worker.
var errPassedOn = errors.New("another goroutine reads")

// answerSlow answers the call that c.q began, as a worker. If nothing else is under way the
// caller stays the one who reads, unless a call arrives meanwhile; else another goroutine reads
// on at once, and the error is errPassedOn. That one is woken, and the call not handed to it, so
// that the call does not wait until a thread is awake. The worker's memory is got before, so
// that a client that asks faster than it is answered is not read on.
func (c *conn) answerSlow(rec []byte, own bool) error {
	q, block := c.detach(rec, own)
	stays := c.alone() && c.relay.leave()
	if !stays {
		c.relay.pass()
	}
	c.work(q)
	// A short reply is sent by who reads: the client may call again as soon as it has that.
	// While it takes a long one it may have more to ask.
	short := len(q.e.B) <= smallCall
	if short {
		stays = stays && c.relay.comeBack()
	}
	c.reply(q, block)
	if !short {
		stays = stays && c.relay.comeBack()
	}
	if !stays {
		return errPassedOn
	}
	c.waited = true
	return nil
}

// alone reports whether there is nothing to do but the one call that detach took: no other is
// under way or has begun to arrive, and no reply waits to be sent.
func (c *conn) alone() bool {
	return len(c.calls) == 1 && len(c.q.e.B) == 0 && !c.in.Partial()
}

// detach gives the call that c.q began a request of its own, and the block that the
// call or its reply is in, if any.
func (c *conn) detach(rec []byte, own bool) (q *request, block []byte) {
	c.acquire(c.calls)
	q = c.srv.requests.Get().(*request)
	if own {
		block = rec
	} else if c.q.proc.is(large) || len(rec) > smallCall {
		block = c.takeBlock()
	}
	q.e.B = q.small[:0]
	if c.q.proc.is(large) { // the reply gets the block
		q.copied = append(q.copied[:0], rec...)
		rec, q.e.B = q.copied, block[:0]
	} else if block == nil {
		q.copied = append(q.copied[:0], rec...)
		rec = q.copied
	} else if !own {
		rec = append(block, rec...)
	}
	q.client = c.client
	q.begin(rec)
	q.proc, q.slot, q.once, q.timing = c.q.proc, c.q.slot, c.q.once, c.q.timing
	return q, block
}

// work waits for its turn, and answers the call. The turn is over before the reply is
// sent: a client that is slow to read holds up no other.
func (c *conn) work(q *request) {
	c.srv.workers <- struct{}{}
	if q.once != nil || !c.out.failed() { // else nobody is there for the reply
		c.answer(q)
	}
	<-c.srv.workers
}

// reply sends a worker's reply.
func (c *conn) reply(q *request, block []byte) {
	reply, mayBeLarge, timing := q.e.B, q.proc.is(large), q.timing
	c.keep(q, reply)
	if mayBeLarge && len(reply) > smallCall {
		c.srv.requests.Put(q)
		c.out.addBlock(reply, timing)
		return
	}
	if block != nil {
		defer c.blocks.give(block)
	}
	if !mayBeLarge {
		q.small = reply
	}
	c.out.add(reply, timing)
	c.srv.requests.Put(q)
}

// answer answers a call on a worker, and counts it.
func (c *conn) answer(q *request) {
	if q.timing.timed {
		q.timing.began = c.srv.clock()
	}
	q.answer(true)
	c.meter.answered(q)
	if q.timing.timed {
		q.timing.ended = c.srv.clock()
	}
}
