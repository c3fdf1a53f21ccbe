package nfs

import "bytes"

// repliesTo are where a call like q is remembered.
func (s *Server) repliesTo(q *request) *Replies {
	if q.proc.is(apart) {
		return s.writes
	}
	return s.replies
}

// replayed reports whether the call that q began needs no running: it was sent again, and
// its reply is known or will be. Else q has its entry, if it is one that must not run twice.
func (c *conn) replayed(rec []byte) bool {
	q, r := c.q, c.srv.repliesTo(c.q)
	if q.stranger() {
		return false
	}
	args := rec[q.args:]
	if q.proc.is(apart) {
		args = args[:min(len(args), maxHashed)]
	}
	id := r.identify(c.origin, &q.call, len(rec), rec[:q.args], args)
	for {
		var v verdict
		q.once, v, q.e.B = r.begin(&id, c, q.e.B)
		if v == fresh {
			return false
		}
		if v != elsewhere || c.waits(r, &id) {
			c.meter.repeated.Add(1)
			return true
		}
	}
}

// waits has the reply to a call that runs for another connection sent to this one too, as
// if a worker answered it. It reports false when the call does not run any more.
func (c *conn) waits(r *Replies, id *identity) bool {
	c.acquire(c.calls)
	c.working.Add(1)
	if r.wait(id, c) {
		return true
	}
	c.working.Done()
	<-c.calls
	return false
}

// keep keeps the reply of a call that must not run twice, and sends it to those who
// wait for it too.
func (c *conn) keep(q *request, reply []byte) {
	if q.once == nil {
		return
	}
	waiting := c.srv.repliesTo(q).finish(q.once, reply)
	q.once = nil
	for _, w := range waiting {
		go w.deliver(bytes.Clone(reply))
	}
}

// deliver sends a reply that waits has promised.
func (c *conn) deliver(reply []byte) {
	defer c.working.Done()
	c.out.add(reply, timing{})
}
