package nfsclient

import (
	"context"
	"fmt"
	"net"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// defaultMaxReply is room for the largest READ or READDIRPLUS that a server
// can be asked for, and its attributes.
const defaultMaxReply = 4<<20 + 4<<10

// Options are a connection's settings; the zero value works.
type Options struct {
	// Cred is sent with every call. The zero value is AUTH_NONE.
	Cred oncrpc.Cred
	// MaxReply bounds a reply's record in bytes. 0 means 4 MiB and a header.
	MaxReply int
	// Fragment is the most bytes of a call that go into one fragment of its
	// record (RFC 5531 §11). 0 means whole calls.
	Fragment int
}

// Client makes calls over one connection with one credential.
type Client struct {
	conn *conn
	cred oncrpc.Cred
}

// Dial connects to a server at a TCP address. ctx bounds the connecting only.
func Dial(ctx context.Context, addr string, o Options) (*Client, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return New(nc, o), nil
}

// New makes calls over nc, which is the Client's from then on.
func New(nc net.Conn, o Options) *Client {
	if o.MaxReply == 0 {
		o.MaxReply = defaultMaxReply
	}
	return &Client{newConn(nc, o.MaxReply, o.Fragment), o.Cred}
}

// As gives a Client that shares c's connection and calls with another credential.
func (c *Client) As(cred oncrpc.Cred) *Client { return &Client{c.conn, cred} }

// Close ends the connection. Calls that are outstanding fail.
func (c *Client) Close() error { return c.conn.close() }

// Done is closed when the connection has ended. Err then says why.
func (c *Client) Done() <-chan struct{} { return c.conn.done }

// Err is why the connection ended, nil as long as it stands.
func (c *Client) Err() error { return c.conn.failure() }

// Do makes a call, waits and decodes its results into res. The error is as the
// package's documentation says.
func (c *Client) Do(ctx context.Context, args Args, res Results) error {
	return c.Start(args).Into(ctx, res)
}

// Start sends a call.
func (c *Client) Start(args Args) *Pending {
	p := c.Queue(args)
	c.Flush()
	return p
}

// Queue readies a call, which the next Flush (or Start, Go, Send) sends.
func (c *Client) Queue(args Args) *Pending {
	var e xdr.Encoder
	args.Encode(&e)
	return c.queue(args.Proc(), e.B)
}

// Flush sends what was queued in one write. Where that fails the calls tell.
func (c *Client) Flush() { c.conn.flush() }

// Go sends a call whose arguments are args as they are.
func (c *Client) Go(p Proc, args []byte) *Pending {
	pending := c.queue(p, args)
	c.Flush()
	return pending
}

// Send sends a whole RPC message as it is; the reply to xid is its reply. An xid
// must not be in use.
func (c *Client) Send(xid uint32, msg []byte) *Pending {
	p := c.conn.queue(xid, Proc{}, msg)
	c.Flush()
	return p
}

// XID gives a transaction id that no call of this connection had yet.
func (c *Client) XID() uint32 { return c.conn.nextXID() }

func (c *Client) queue(p Proc, args []byte) *Pending {
	xid := c.conn.nextXID()
	return c.conn.queue(xid, p, append(header(xid, p, &c.cred), args...))
}

// Message is the message of a call, as Send takes it.
func Message(xid uint32, cred oncrpc.Cred, args Args) []byte {
	e := xdr.Encoder{B: header(xid, args.Proc(), &cred)}
	args.Encode(&e)
	return e.B
}

func header(xid uint32, p Proc, cred *oncrpc.Cred) []byte {
	var e xdr.Encoder
	oncrpc.AppendCall(&e, xid, p.Prog, p.Vers, p.Num, cred)
	return e.B
}

// RPCError is a call that did not get as far as its procedure.
type RPCError struct {
	Proc  Proc
	Reply oncrpc.Reply
}

// Error says what the server held against the call.
func (e *RPCError) Error() string { return fmt.Sprintf("rpc: %v: %s", e.Proc, e.reason()) }

func (e *RPCError) reason() string {
	r := &e.Reply
	switch {
	case !r.Accepted && r.Reject == oncrpc.RPCMismatch:
		return fmt.Sprintf("RPC versions %d to %d only", r.Low, r.High)
	case !r.Accepted:
		return fmt.Sprintf("credential refused (auth_stat %d)", r.Auth)
	case r.Accept == oncrpc.ProgUnavail:
		return "program unavailable"
	case r.Accept == oncrpc.ProgMismatch:
		return fmt.Sprintf("program versions %d to %d only", r.Low, r.High)
	case r.Accept == oncrpc.ProcUnavail:
		return "procedure unavailable"
	case r.Accept == oncrpc.GarbageArgs:
		return "garbage arguments"
	}
	return fmt.Sprintf("system error (accept_stat %d)", r.Accept)
}
