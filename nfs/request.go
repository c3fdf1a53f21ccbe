package nfs

import (
	"runtime/debug"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// request is one call while it is being answered. It is used again for the next
// call: what the file system fills lives here, so that no call allocates.
type request struct {
	srv    *Server
	client string // the peer's address, without the port

	call oncrpc.Call
	proc *procedure
	slot int         // of proc among all; see meter
	d    xdr.Decoder // at the arguments
	args int         // where they begin
	e    xdr.Encoder // the reply goes behind what is there
	at   int         // where the results begin in e

	caller overlay.Caller
	err    error  // what is wrong with the arguments, though they could be decoded
	ran    bool   // the file system was asked
	ended  int    // how, when there is a reply; see outcomeOf
	once   *entry // of a call that must not run twice

	timing        timing
	copied, small []byte // a worker's: a call's copy, and memory for a small reply

	// Arguments.
	id, id2     overlay.ID
	name, name2 []byte
	data        []byte
	off, cookie uint64
	count, max  uint32
	mask        uint32
	stable      overlay.Stability
	typ         uint32
	major       uint32
	minor       uint32
	how         overlay.CreateHow
	set         overlay.SetAttr
	guardTime   overlay.Time

	// Results.
	attr, dirAttr overlay.Attr
	hasAttr       bool
	w, w2         overlay.Change
	verifier      uint64 // of a WRITE
	target        []byte
	eof           bool
	n             int
	list          listing
	emit          func(*overlay.DirEntry) bool // addEntry, made once
	stat          overlay.FSStat
}

func newRequest(s *Server, client string) *request {
	q := &request{srv: s, client: client}
	q.emit = q.addEntry
	return q
}

// begin reads the header of the call in rec. It reports false when that is no call.
func (q *request) begin(rec []byte) bool {
	q.d = xdr.Decoder{B: rec}
	q.err, q.ran, q.hasAttr, q.proc, q.once = nil, false, false, nil, nil
	q.w, q.w2 = overlay.Change{}, overlay.Change{}
	ok := oncrpc.DecodeCall(&q.d, &q.call)
	q.args = q.d.Off
	return ok
}

// route finds the procedure. When there is none, or the caller may not call it,
// it appends the reply that says so and reports false.
func (q *request) route() bool {
	mark := oncrpc.BeginRecord(&q.e)
	q.deny()
	if q.proc != nil {
		q.e.B = q.e.B[:mark]
		return true
	}
	oncrpc.EndRecord(&q.e, mark)
	return false
}

// reject appends a reply that has no results.
func (q *request) reject(st oncrpc.AcceptStat) {
	mark := oncrpc.BeginRecord(&q.e)
	oncrpc.AppendAccepted(&q.e, q.call.XID, st)
	oncrpc.EndRecord(&q.e, mark)
}

// deny sets proc, or appends why the call is not let in (RFC 5531 §9).
func (q *request) deny() {
	c := &q.call
	if c.RPCVersion != oncrpc.Version {
		oncrpc.AppendRPCMismatch(&q.e, c.XID)
		return
	}
	prog := findProgram(c.Prog)
	switch {
	case prog == nil:
		oncrpc.AppendAccepted(&q.e, c.XID, oncrpc.ProgUnavail)
	case c.Vers < prog.low || c.Vers > prog.high:
		oncrpc.AppendAccepted(&q.e, c.XID, oncrpc.ProgMismatch)
		q.e.Uint32(prog.low)
		q.e.Uint32(prog.high)
	case !c.CredOK:
		oncrpc.AppendAuthError(&q.e, c.XID, badCred(c.Cred.Flavor))
	default:
		q.denyProc(prog)
	}
}

func (q *request) denyProc(prog *program) {
	c := &q.call
	p := prog.find(c.Vers, c.Proc)
	switch {
	case p == nil:
		oncrpc.AppendAccepted(&q.e, c.XID, oncrpc.ProcUnavail)
	case p.access != open && c.Cred.Flavor != oncrpc.AuthSys:
		oncrpc.AppendAuthError(&q.e, c.XID, oncrpc.AuthTooWeak)
	default:
		q.proc, q.slot = p, prog.slot+int(c.Proc)
	}
}

// badCred is the answer to a credential that was not understood. It is never
// AUTH_REJECTEDCRED, upon which Apple's client asks again for ever.
func badCred(flavor uint32) oncrpc.AuthStat {
	if flavor == oncrpc.AuthSys {
		return oncrpc.AuthBadCred
	}
	return oncrpc.AuthTooWeak
}

// stranger reports whether the caller is neither the owner nor root.
func (q *request) stranger() bool {
	c := &q.call.Cred
	return c.Flavor == oncrpc.AuthSys && c.UID != q.srv.owner && c.UID != 0
}

// answer calls the procedure that route found and appends the reply. It reports
// false, having appended nothing, when the call has to be made again where it
// may block.
func (q *request) answer(mayBlock bool) (done bool) {
	mark := oncrpc.BeginRecord(&q.e)
	oncrpc.AppendAccepted(&q.e, q.call.XID, oncrpc.Success)
	q.at = len(q.e.B)
	defer q.survive(mark, &done)
	q.caller = overlay.Caller{
		UID: q.call.Cred.UID, GID: q.call.Cred.GID, Apple: !q.call.Cred.Named, MayBlock: mayBlock, Retries: true,
	}
	q.proc.decode(q)
	if q.d.Err != nil {
		q.acceptStat(oncrpc.GarbageArgs)
	} else if err := q.run(); err == overlay.ErrWouldBlock && !mayBlock {
		q.e.B = q.e.B[:mark]
		return false
	} else {
		q.results(err)
	}
	oncrpc.EndRecord(&q.e, mark)
	return true
}

// run checks what decoding could not, and calls the file system.
func (q *request) run() error {
	if q.proc.access != open && q.stranger() {
		if err := q.permit(); err != nil {
			return err
		}
	}
	if q.err != nil {
		return q.err
	}
	q.ran = true
	return q.outcome()
}

// results appends the result union for err.
func (q *request) results(err error) {
	q.e.B, q.ended = q.e.B[:q.at], 0
	if q.proc.is(plain) {
		q.proc.ok(q)
		return
	}
	st, known := statusOf(err)
	if !known {
		q.srv.unknownError(q, err)
	}
	q.srv.trace(q, st)
	q.ended = outcomeOf(st)
	q.e.Uint32(uint32(st))
	if st == statusOK {
		q.proc.ok(q)
	} else {
		q.proc.fail(q)
	}
}

// acceptStat makes the reply one without results.
func (q *request) acceptStat(st oncrpc.AcceptStat) {
	q.e.B, q.ended = q.e.B[:q.at], notAccepted
	q.e.Patch32(q.at-4, uint32(st))
}

// survive turns a panic into NFS3ERR_SERVERFAULT: it ends this request only.
func (q *request) survive(mark int, done *bool) {
	p := recover()
	if p == nil {
		return
	}
	q.srv.panicked(q, p, debug.Stack())
	q.ran, *done = false, true
	q.w, q.w2 = overlay.Change{}, overlay.Change{}
	q.hasAttr = false
	if q.proc.is(plain) {
		q.acceptStat(oncrpc.SystemErr)
	} else {
		q.results(statusServerFault)
	}
	oncrpc.EndRecord(&q.e, mark)
}

// refuse notes what is wrong with an argument; the first one counts.
func (q *request) refuse(err error) {
	if q.err == nil {
		q.err = err
	}
}

// handle reads an nfs_fh3.
func (q *request) handle() overlay.ID {
	id, ok := q.srv.handles.parse(q.d.Opaque(maxHandle))
	if !ok {
		q.refuse(statusBadHandle)
	}
	return id
}

// filename reads a filename3 that has to pass check.
func (q *request) filename(check func([]byte) error) []byte {
	name := q.d.Opaque(maxString)
	if err := check(name); err != nil {
		q.refuse(err)
	}
	return name
}

// room grows e by n bytes behind its end, without making them part of it, and
// gives them.
func (q *request) room(n int) []byte {
	at := len(q.e.B)
	if cap(q.e.B)-at < n {
		b := make([]byte, at, at+n+flushSize)
		copy(b, q.e.B)
		q.e.B = b
	}
	return q.e.B[at : at+n]
}
