package applenfs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// How long the client waits before it sends a call again that the server has put
// off: twice as long each time (NFS_TRYLATERDEL; nfs_socket.c, nfs_request_finish).
const (
	firstDelay = 4 * time.Second
	lastDelay  = 30 * time.Second
)

// wire makes calls over one connection after the other.
type wire struct {
	ctx     context.Context // of all calls
	o       *Options
	clock   Clock
	user    oncrpc.Cred
	client  *nfsclient.Client
	xid     uint64  // of the last call; the lower half goes over the wire
	waiting []*call // in the order in which they were sent
	counts  map[string]int
	dials   int
}

// call is one call, until its reply has been understood.
type call struct {
	args    nfsclient.Args
	cred    oncrpc.Cred
	xid     uint64
	msg     []byte
	pending *nfsclient.Pending
	resent  bool // the server may have carried it out before
	unseen  bool // listings of the directory do not show what it does
	delay   time.Duration
}

func newWire(ctx context.Context, o *Options, clock Clock) (*wire, error) {
	w := &wire{
		ctx: ctx, o: o, clock: clock, user: nfsclient.AuthSys(o.UID, o.GID),
		// The kernel begins with the time; two of ours must not begin with the same.
		xid: uint64(rand.Uint32() >> 1), counts: map[string]int{},
	}
	return w, w.connect()
}

// kernel is who sends what nobody asked for: pings, MNT and UMNT.
func kernel() oncrpc.Cred { return nfsclient.AuthSys(0, 0) }

// start sends a call of the user's.
func (w *wire) start(args nfsclient.Args) *call { return w.startAs(w.user, args) }

func (w *wire) startAs(cred oncrpc.Cred, args nfsclient.Args) *call {
	c := &call{args: args, cred: cred}
	w.stamp(c)
	w.waiting = append(w.waiting, c)
	w.counts[args.Proc().String()]++
	c.pending = w.client.Send(uint32(c.xid), c.msg)
	return c
}

// stamp gives a call the next transaction id, and writes its message.
func (w *wire) stamp(c *call) {
	var e xdr.Encoder
	c.xid = w.nextXID()
	p := c.args.Proc()
	oncrpc.AppendCall(&e, uint32(c.xid), p.Prog, p.Vers, p.Num, &c.cred)
	c.args.Encode(&e)
	c.msg = e.B
}

// nextXID uses up a transaction id (nfs_subs.c, nfs_get_xid).
func (w *wire) nextXID() uint64 {
	w.xid++
	return w.xid
}

// finish waits for a call's reply and decodes it. The results are decoded where the
// server refused, too.
func (w *wire) finish(c *call, res nfsclient.Results) error {
	for {
		reply, body, err := c.pending.Wait(w.ctx)
		if err != nil {
			if err := w.reconnect(err); err != nil {
				return err
			}
			continue
		}
		status, err := understand(c, reply, body, res)
		if status == nfsclient.ErrJukebox {
			w.later(c)
			continue
		}
		w.forget(c)
		return err
	}
}

func understand(c *call, reply oncrpc.Reply, body []byte, res nfsclient.Results) (nfsclient.Status, error) {
	if !reply.Accepted || reply.Accept != oncrpc.Success {
		return 0, &nfsclient.RPCError{Proc: c.args.Proc(), Reply: reply}
	}
	d := xdr.Decoder{B: body}
	status := res.Decode(&d)
	if d.Err != nil || d.Left() != 0 {
		return 0, fmt.Errorf("%v: results of %d bytes, %d of them left over: %w", c.args.Proc(), len(body), d.Left(), xdr.ErrBad)
	}
	if status != nfsclient.OK {
		return status, status
	}
	return status, nil
}

// later sends a call again, as another one, when the server may be able to.
func (w *wire) later(c *call) {
	c.delay = min(max(firstDelay, 2*c.delay), lastDelay)
	w.clock.Sleep(c.delay)
	w.stamp(c)
	c.pending = w.client.Send(uint32(c.xid), c.msg)
}

// forget takes a call from those to be sent again.
func (w *wire) forget(c *call) {
	for i, other := range w.waiting {
		if other == c {
			w.waiting = append(w.waiting[:i], w.waiting[i+1:]...)
			return
		}
	}
}

// reconnect makes another connection where the present one has ended, for which
// reason is what a call has met.
func (w *wire) reconnect(reason error) error {
	if w.ctx.Err() != nil || w.client.Err() == nil {
		return reason
	}
	return w.connect()
}

// connect makes a connection, asks whether there is a server, and sends all calls
// again that have no reply yet, each with its transaction id (nfs_socket.c,
// nfs_connect_search_ping and nfs_reconnect).
func (w *wire) connect() error {
	for {
		nc, err := w.o.Dial(w.ctx)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		w.dials++
		w.client = nfsclient.New(nc, nfsclient.Options{Cred: kernel()})
		if err := w.client.Null(w.ctx); err == nil {
			break
		}
		w.client.Close()
		if err := w.ctx.Err(); err != nil {
			return err
		}
	}
	for _, c := range w.waiting {
		if _, _, err := c.pending.Wait(w.ctx); err == nil {
			continue
		}
		c.resent = true
		c.pending = w.client.Send(uint32(c.xid), c.msg)
	}
	return nil
}

// close ends the connection, if nobody else has.
func (w *wire) close() error {
	if err := w.client.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
