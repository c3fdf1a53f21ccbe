package mount

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// Programs and procedures (RFC 1813 §3, appendix I).
const (
	nfsProgram   = 100003
	mountProgram = 100005
	version3     = 3
	procNull     = 0
	procMnt      = 1
	procFsinfo   = 19

	maxHandle = 64      // NFS3_FHSIZE
	maxReply  = 1 << 16 // of the three that are called here
)

// ErrNoAnswer is wrapped by Probe when nothing at the address speaks RPC.
var ErrNoAnswer = errors.New("no server answers")

// Probe asks the server at addr what a client asks at mount, over a new
// connection: NULL, MNT of export and FSINFO of what it gives. It returns nil
// when all three were answered well.
func Probe(ctx context.Context, addr netip.AddrPort, export string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.call(nfsProgram, procNull, nil); err != nil {
		return fmt.Errorf("NULL to %s: %w", addr, err)
	}
	handle, err := c.mnt(export)
	if err != nil {
		return fmt.Errorf("MNT of %s at %s: %w", export, addr, err)
	}
	if err := c.fsinfo(handle); err != nil {
		return fmt.Errorf("FSINFO of %s at %s: %w", export, addr, err)
	}
	return nil
}

// ping returns nil when anything at addr answers an RPC call, even by refusing it.
func ping(ctx context.Context, addr netip.AddrPort) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err = c.call(nfsProgram, procNull, nil); errors.Is(err, ErrNoAnswer) {
		return fmt.Errorf("NULL to %s: %w", addr, err)
	}
	return nil
}

// caller makes calls one after the other.
type caller struct {
	net.Conn
	cred oncrpc.Cred
	xid  uint32
	stop func() bool
}

func dial(ctx context.Context, addr netip.AddrPort) (*caller, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return &caller{
		Conn: conn,
		cred: oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())},
		stop: context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }),
	}, nil
}

func (c *caller) Close() error {
	c.stop()
	return c.Conn.Close()
}

// call sends one call and gives the results of its reply.
func (c *caller) call(prog, proc uint32, args func(*xdr.Encoder)) (*xdr.Decoder, error) {
	c.xid++
	var e xdr.Encoder
	at := oncrpc.BeginRecord(&e)
	oncrpc.AppendCall(&e, c.xid, prog, version3, proc, &c.cred)
	if args != nil {
		args(&e)
	}
	oncrpc.EndRecord(&e, at)
	if _, err := c.Write(e.B); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	rec, err := oncrpc.ReadRecord(c, nil, maxReply)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	d := &xdr.Decoder{B: rec}
	return d, c.accepted(oncrpc.DecodeReply(d))
}

func (c *caller) accepted(r oncrpc.Reply, err error) error {
	switch {
	case err != nil || r.XID != c.xid:
		return fmt.Errorf("%w: what came is no reply", ErrNoAnswer)
	case !r.Accepted:
		return errors.New("the server does not take our credentials")
	case r.Accept != oncrpc.Success:
		return fmt.Errorf("refused: accept_stat %d (RFC 5531 §9)", r.Accept)
	}
	return nil
}

func (c *caller) mnt(export string) ([]byte, error) {
	d, err := c.call(mountProgram, procMnt, func(e *xdr.Encoder) { e.String(export) })
	if err != nil {
		return nil, err
	}
	if stat := d.Uint32(); stat != 0 {
		return nil, mntError(stat)
	}
	handle := d.Opaque(maxHandle)
	return handle, d.Err
}

// mntError says a mountstat3 (RFC 1813 appendix I) in words.
func mntError(stat uint32) error {
	switch stat {
	case 2:
		return errors.New("that path is not exported")
	case 1, 13:
		return errors.New("only its owner and root are let in")
	}
	return errors.New("refused with status " + strconv.FormatUint(uint64(stat), 10))
}

func (c *caller) fsinfo(handle []byte) error {
	d, err := c.call(nfsProgram, procFsinfo, func(e *xdr.Encoder) { e.Opaque(handle) })
	if err != nil {
		return err
	}
	if stat := d.Uint32(); d.Err == nil && stat != 0 {
		return fmt.Errorf("refused with nfsstat3 %d (RFC 1813 §2.6)", stat)
	}
	return d.Err
}
