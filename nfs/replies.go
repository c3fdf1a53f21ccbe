package nfs

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dchest/siphash"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
)

const (
	replySets = 256
	replyWays = 16
	// maxReply is how long a reply may be that is kept. That of CREATE, the longest
	// one, has 272 bytes, with file handles of 28.
	maxReply = 332
	// maxHashed is how many bytes of a WRITE's arguments are looked at: XID and offset
	// tell enough.
	maxHashed = 256
	// replyAge is how long a call may be sent again, at most: a client's XIDs come
	// around some time.
	replyAge = 24 * time.Hour
	// underway is set in the turn of a call that runs, which makes it the latest of all.
	underway = 1 << 63
)

// Replies are the latest calls that must not run twice, and the replies to them: the
// duplicate-request cache. The package's documentation says what it promises. Its
// methods are safe for concurrent use.
//
// It is a table of so many calls, in sets that a call's hash chooses from: a set forgets
// the call that came first, but none that runs.
type Replies struct {
	k0, k1 uint64
	turn   atomic.Uint64 // numbers what began and what ended, over restarts too
	file   *replyFile    // nil when nothing is kept over a restart
	sets   [replySets]replySet
}

type replySet struct {
	mu sync.Mutex
	// What a look-up needs lies together.
	keys    [replyWays]uint64 // identity.whole
	turns   [replyWays]uint64 // when it began; 0 is free
	entries [replyWays]entry
}

// identity tells a call from all others. A client that sends a call again sends the same
// bytes with the same XID, but perhaps from another port.
type identity struct {
	whole uint64 // keyed hash of the client's address and of all bytes
	args  uint64 // keyed hash of the procedure and its arguments
	xid   uint32
	size  uint32 // bytes
}

// entry is a call that was let run.
type entry struct {
	identity
	slot  int   // which of all entries it is
	at    int64 // when it began, in nanoseconds of Server.clock
	since int64 // what it changed has no stamp from before, in nanoseconds since 1970
	began uint64
	ended uint64 // 0: there is no reply
	// doubt says that it began in a server that is gone: it may have run.
	doubt bool
	n     int // bytes of reply
	reply [maxReply]byte
	// by is the connection that waits for the reply, while it runs, and waiting are
	// others that were sent the call again.
	by      *conn
	waiting []*conn
}

// verdict is what is to be done about a call.
type verdict uint8

const (
	fresh     verdict = iota // it is to be run
	answered                 // it has a reply
	here                     // it runs, and its reply goes to the connection that asks
	elsewhere                // it runs, and its reply goes to another connection
)

func newReplies(k Key) *Replies {
	h := newHandles(k)
	return &Replies{
		k0: siphash.Hash(h.k0, h.k1, []byte("replies 0")),
		k1: siphash.Hash(h.k0, h.k1, []byte("replies 1")),
	}
}

// origin is what the address of a client adds to a call's identity.
func (r *Replies) origin(client string) uint64 { return siphash.Hash(r.k0, r.k1, []byte(client)) }

// identify tells a call of size bytes by what is before its arguments, and by them.
func (r *Replies) identify(origin uint64, c *oncrpc.Call, size int, head, args []byte) identity {
	h := siphash.Hash(r.k0^uint64(c.Proc), r.k1, args)
	return identity{
		whole: siphash.Hash(r.k0^origin, r.k1^h, head),
		args:  h, xid: c.XID, size: uint32(size),
	}
}

func (r *Replies) set(whole uint64) *replySet { return &r.sets[whole%replySets] }

// begin says what is to be done about a call that by was sent. When it is to be run,
// the entry is the caller's until finish; it is nil in the case that all calls of a set
// run. The reply of one that was answered is appended to buf.
func (r *Replies) begin(id *identity, by *conn, buf []byte) (*entry, verdict, []byte) {
	s := r.set(id.whole)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.find(id, by.heard.Load())
	switch {
	case t == nil:
		return r.start(s, id, by), fresh, buf
	case t.by == by || slices.Contains(t.waiting, by):
		return nil, here, buf
	case t.by != nil:
		return nil, elsewhere, buf
	case t.ended != 0:
		return nil, answered, append(buf, t.reply[:t.n]...)
	}
	t.by = by // it began in another server
	s.turns[t.slot%replyWays] |= underway
	return t, fresh, buf
}

// find gives the entry of a call, or nil; now is of Server.clock.
func (s *replySet) find(id *identity, now int64) *entry {
	for i, k := range &s.keys {
		if k == id.whole && s.turns[i] != 0 && s.entries[i].identity == *id {
			if t := &s.entries[i]; t.by != nil || now-t.at < int64(replyAge) {
				return t
			}
			s.drop(i)
		}
	}
	return nil
}

func (s *replySet) drop(i int) { s.keys[i], s.turns[i] = 0, 0 }

// start makes the entry of a call that is to be run, in the place of the oldest one.
func (r *Replies) start(s *replySet, id *identity, by *conn) *entry {
	i := 0
	for j, turn := range &s.turns {
		if turn < s.turns[i] {
			i = j
		}
	}
	if s.turns[i]&underway != 0 {
		return nil
	}
	t := &s.entries[i]
	t.identity, t.by = *id, by
	t.at = by.heard.Load()
	if r.file != nil { // else it is in doubt in no server
		t.since = by.stamps.earliest(by.when())
	}
	t.slot = int(id.whole%replySets)*replyWays + i
	t.began, t.ended, t.doubt, t.n = r.turn.Add(1), 0, false, 0
	s.keys[i], s.turns[i] = id.whole, t.began|underway
	r.file.begin(t)
	return t
}

// wait has the reply of a call that runs sent to c too. It reports false when the call
// does not run any more.
func (r *Replies) wait(id *identity, c *conn) bool {
	s := r.set(id.whole)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.find(id, 0)
	if t == nil || t.by == nil {
		return false
	}
	t.waiting = append(t.waiting, c)
	return true
}

// finish keeps the reply to a call, and gives the connections that wait for it too. A
// reply that tells the client to ask anew is not kept, nor is one that is too long.
func (r *Replies) finish(t *entry, reply []byte) (waiting []*conn) {
	s := r.set(t.whole)
	i := t.slot % replyWays
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting, t.waiting, t.by, t.doubt = t.waiting, nil, nil, false
	if st, _ := replyStatus(reply); st == statusJukebox || len(reply) > maxReply {
		s.drop(i)
		r.file.drop(t)
		return waiting
	}
	t.n = copy(t.reply[:], reply)
	t.ended = r.turn.Add(1)
	s.turns[i] = t.began
	r.file.end(t)
	return waiting
}

// rivalled reports whether another call with the same procedure and arguments succeeded
// since t began: what t would have done was done by that one, then.
func (r *Replies) rivalled(t *entry) bool {
	return r.hasOther(t, func(other *entry) bool { return other.ended > t.began && other.args == t.args })
}

// made reports whether another call made the object of a file handle.
func (r *Replies) made(t *entry, handle []byte) bool {
	return r.hasOther(t, func(other *entry) bool { return bytes.Contains(other.reply[:other.n], handle) })
}

// hasOther reports whether what is asked holds for a call that succeeded.
func (r *Replies) hasOther(t *entry, is func(*entry) bool) bool {
	for i := range r.sets {
		s := &r.sets[i]
		s.mu.Lock()
		found := false
		for j := range s.entries {
			other := &s.entries[j]
			found = found || other != t && s.turns[j] != 0 && other.ended != 0 && succeeded(other.reply[:other.n]) && is(other)
		}
		s.mu.Unlock()
		if found {
			return true
		}
	}
	return false
}

// Where a reply has what, behind its record mark.
const (
	replyXIDAt    = 4
	replyAcceptAt = 24
	replyStatusAt = 28
)

// replyStatus is what a reply says became of the call. It is not ok when the procedure
// was not even called.
func replyStatus(reply []byte) (st status, ok bool) {
	if len(reply) < replyStatusAt+4 || binary.BigEndian.Uint32(reply[replyAcceptAt:]) != uint32(oncrpc.Success) {
		return 0, false
	}
	return status(binary.BigEndian.Uint32(reply[replyStatusAt:])), true
}

func succeeded(reply []byte) bool {
	st, ok := replyStatus(reply)
	return ok && st == statusOK
}
