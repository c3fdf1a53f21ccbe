package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

const (
	// maxReply is room for the largest READ that is asked for, and its header.
	maxReply = 1<<20 + 4<<10
	// sendSize is how many bytes of calls are gathered at most before they are sent.
	sendSize = 256 << 10
	// patience is how long a server may take over an answer.
	patience = 2 * time.Minute
)

// link is a connection to a server, on which walkers make calls. It costs as little as it
// can, since it shares the machine with the server: a socket that blocks, one write
// for the calls of all walkers, and no goroutine but the caller's.
type link struct {
	fd    int
	cred  oncrpc.Cred
	in    *oncrpc.Reader
	block []byte // for replies that the reader's buffer cannot hold
	out   xdr.Encoder
	now   time.Time // when the last replies came
	turns uint32
	// waiting are the walkers whose calls have not been answered, by the low bits of the XID.
	waiting []*walker
	left    int // how many those are
	meter   *meter
}

// dial connects to a server.
func dial(addr string, cred oncrpc.Cred) (*link, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	f, err := nc.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate a socket: %w", err)
	}
	// XIDs begin anywhere, or a server takes the calls of one connection for those of another, sent again.
	l := &link{fd: fd, cred: cred, meter: new(meter), turns: rand.Uint32()}
	l.in = oncrpc.NewReader(l, l, maxReply)
	limit := unix.NsecToTimeval(int64(patience))
	err = errors.Join(unix.SetNonblock(fd, false),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit))
	return l, err
}

func (l *link) close() { unix.Close(l.fd) }

// Read implements io.Reader.
func (l *link) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(l.fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, fmt.Errorf("read replies: %w", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Big implements oncrpc.Memory: a reply is done with before the next is looked at.
func (l *link) Big() []byte {
	l.block = slices.Grow(l.block[:0], maxReply)
	return l.block
}

// flush sends the calls that were gathered.
func (l *link) flush() error {
	for b := l.out.B; len(b) > 0; {
		n, err := unix.Write(l.fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("send calls: %w", err)
		}
		b = b[n:]
	}
	l.out.B = l.out.B[:0]
	return nil
}

// run has n walkers do their work at once, and gives the first one's error.
func (l *link) run(n int, work func(*walker) error) error {
	l.waiting, l.now = make([]*walker, n), time.Now()
	walkers := make([]*walker, n)
	for i := range walkers {
		walkers[i] = &walker{link: l, slot: uint32(i)}
		walkers[i].start(work)
	}
	err := l.answer()
	for _, w := range l.waiting { // after an error
		if w != nil {
			w.broken = err
			w.resume()
		}
	}
	l.waiting, l.left = nil, 0
	for _, w := range walkers {
		err = errors.Join(err, w.err)
	}
	return err
}

// answer gives walkers their replies until none waits for one.
func (l *link) answer() error {
	for l.left > 0 {
		rec, _, err := l.in.Next()
		if err == nil && rec != nil {
			err = l.deliver(rec)
		} else if err == nil {
			if err = l.flush(); err == nil {
				err = l.in.Fill()
				l.now = time.Now()
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deliver wakes the walker that a reply is for.
func (l *link) deliver(rec []byte) error {
	d := xdr.Decoder{B: rec}
	r, err := oncrpc.DecodeReply(&d)
	if err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	slot := r.XID % maxWalkers
	if int(slot) >= len(l.waiting) || l.waiting[slot] == nil || l.waiting[slot].xid != r.XID {
		return fmt.Errorf("a reply to no call, xid %#x", r.XID)
	}
	if !r.Accepted || r.Accept != oncrpc.Success {
		return fmt.Errorf("a call was refused: %+v", r)
	}
	w := l.waiting[slot]
	l.waiting[slot] = nil
	l.left--
	w.reply = d
	w.resume()
	if len(l.out.B) >= sendSize {
		return l.flush()
	}
	return nil
}

// maxWalkers bounds the walkers of a link: an XID's low bits are the walker's.
const maxWalkers = 64

// walker makes calls one after the other, as a process on a mount does. Its work is
// ordinary code: while it waits for a reply, others' goes on, on the same thread.
type walker struct {
	*link
	slot, xid uint32
	sent      time.Time
	reply     xdr.Decoder // at the results
	broken    error       // the link's end
	err       error       // the work's
	quiet     bool        // its calls are not measured
	resume    func() (struct{}, bool)
	yield     func(struct{}) bool
}

// start runs the work up to its first call.
func (w *walker) start(work func(*walker) error) {
	w.resume, _ = iter.Pull(func(yield func(struct{}) bool) {
		w.yield = yield
		w.err = work(w)
	})
	w.resume()
}

// call makes a call and decodes its results, which are valid until the next call. The error
// is the Status of a call that was refused.
func (w *walker) call(args nfsclient.Args, res nfsclient.Results) error {
	if err := w.send(args); err != nil {
		return err
	}
	status := res.Decode(&w.reply)
	switch {
	case w.reply.Err != nil:
		return fmt.Errorf("%v: results: %w", args.Proc(), w.reply.Err)
	case w.reply.Left() != 0:
		return fmt.Errorf("%v: %d bytes behind the results", args.Proc(), w.reply.Left())
	case status != nfsclient.OK:
		return fmt.Errorf("%v: %w", args.Proc(), status)
	}
	return nil
}

// send makes a call, and returns when its reply is there.
func (w *walker) send(args nfsclient.Args) error {
	l, p := w.link, args.Proc()
	l.turns++
	w.xid = l.turns*maxWalkers + w.slot
	at := oncrpc.BeginRecord(&l.out)
	oncrpc.AppendCall(&l.out, w.xid, p.Prog, p.Vers, p.Num, &l.cred)
	args.Encode(&l.out)
	oncrpc.EndRecord(&l.out, at)
	w.sent = l.now
	l.waiting[w.slot] = w
	l.left++
	w.yield(struct{}{})
	if w.broken != nil {
		return w.broken
	}
	if !w.quiet {
		l.meter.call(l.now.Sub(w.sent))
	}
	return nil
}
