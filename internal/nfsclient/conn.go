package nfsclient

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// Reasons for a connection's end.
var (
	errStray   = errors.New("reply to no call")
	errXIDUsed = errors.New("xid is in use")
)

// conn is a connection, its queue and the calls that wait for replies.
type conn struct {
	nc       net.Conn
	maxReply int
	fragment int
	done     chan struct{} // closed when the reader has ended

	writing sync.Mutex // held while writing, so that batches stay in order

	mu      sync.Mutex // guards what follows
	xid     uint32
	out     []byte // queued records
	pending map[uint32]*Pending
	replies int
	err     error
}

func newConn(nc net.Conn, maxReply, fragment int) *conn {
	c := &conn{
		nc: nc, maxReply: maxReply, fragment: fragment, done: make(chan struct{}),
		// A server's duplicate-request cache must not take this client for its predecessor.
		xid: rand.Uint32(), pending: make(map[uint32]*Pending),
	}
	go c.read()
	return c
}

func (c *conn) close() error {
	err := c.nc.Close()
	<-c.done
	return err
}

func (c *conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *conn) nextXID() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.xid++
	return c.xid
}

// queue puts a message into the next batch.
func (c *conn) queue(xid uint32, proc Proc, msg []byte) *Pending {
	p := &Pending{proc: proc, done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.err = c.err
	if c.pending[xid] != nil {
		p.err = errXIDUsed
	}
	if p.err != nil {
		close(p.done)
		return p
	}
	c.pending[xid] = p
	c.out = appendRecord(c.out, msg, c.fragment)
	return p
}

// flush sends the batch. An error fails every call that is outstanding.
func (c *conn) flush() {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	out := c.out
	c.out = nil
	c.mu.Unlock()
	if len(out) == 0 {
		return
	}
	if _, err := c.nc.Write(out); err != nil {
		c.fail(err)
	}
}

// read takes replies until the connection ends.
func (c *conn) read() {
	defer close(c.done)
	r := bufio.NewReaderSize(c.nc, 64<<10)
	for {
		msg, err := oncrpc.ReadRecord(r, nil, c.maxReply)
		if err == nil {
			err = c.deliver(msg)
		}
		if err != nil {
			c.fail(err)
			c.nc.Close()
			return
		}
	}
}

func (c *conn) deliver(msg []byte) error {
	if len(msg) < 4 {
		return xdr.ErrBad
	}
	xid := binary.BigEndian.Uint32(msg)
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[xid]
	if p == nil {
		return fmt.Errorf("xid %#x: %w", xid, errStray)
	}
	delete(c.pending, xid)
	p.reply, p.order = msg, c.replies
	c.replies++
	close(p.done)
	return nil
}

// fail ends every call. The first reason is the one that stays.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = fmt.Errorf("connection ended: %w", err)
	}
	for xid, p := range c.pending {
		delete(c.pending, xid)
		p.err = c.err
		close(p.done)
	}
}

// appendRecord appends msg as a record with fragments of at most size bytes; 0 is one fragment.
func appendRecord(b, msg []byte, size int) []byte {
	for size > 0 && len(msg) > size {
		b = binary.BigEndian.AppendUint32(b, uint32(size))
		b = append(b, msg[:size]...)
		msg = msg[size:]
	}
	return oncrpc.AppendRecord(b, msg)
}
