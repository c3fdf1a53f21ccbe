package mount

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/peeruid"
)

// maxReply bounds in bytes the replies that are asked for here: the largest is MNT's, a
// handle and some flavors.
const maxReply = 1 << 16

// ErrNoAnswer is wrapped by Probe when nothing at the address speaks RPC.
var ErrNoAnswer = errors.New("no server answers")

// Probe asks the server at addr what a client asks at mount, over a new
// connection: NULL, MNT of export and FSINFO of what it gives. It returns nil
// when all three were answered well. To an ordinary user only a server of his own is one:
// another user may have taken the port before him.
func Probe(ctx context.Context, addr netip.AddrPort, export string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Null(ctx); err != nil {
		return fmt.Errorf("NULL to %s: %w", addr, explain(err))
	}
	if self := os.Getuid(); self != 0 {
		if err := c.whose(uint32(self)); err != nil {
			return fmt.Errorf("%w at %s: %w", ErrNoAnswer, addr, err)
		}
	}
	root, err := c.Mnt(ctx, export)
	if err != nil {
		return fmt.Errorf("MNT of %s at %s: %w", export, addr, explainMnt(err))
	}
	if _, err := c.Fsinfo(ctx, root.FH); err != nil {
		return fmt.Errorf("FSINFO of %s at %s: %w", export, addr, explain(err))
	}
	return nil
}

// StrangerError is a program of another user's at the address.
type StrangerError struct{ UID uint32 }

// Error says whose it is.
func (e *StrangerError) Error() string { return fmt.Sprintf("what answers is uid %d's", e.UID) }

// Answers returns nil when a server of the user owner answers RPC at addr within limit. An error
// wraps ErrNoAnswer, or is a StrangerError: another user's program answers, or keeps silent.
func Answers(ctx context.Context, addr netip.AddrPort, owner uint32, limit time.Duration) error {
	ctx1, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := dial(ctx1, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Null(ctx1); err == nil {
		err := c.whose(owner)
		if _, stranger := errors.AsType[*StrangerError](err); err != nil && !stranger {
			err = fmt.Errorf("%w: %w", ErrNoAnswer, err)
		}
		return err
	}
	return silent(ctx, addr, owner, limit)
}

// silent tells whose listener it is that takes connections and does not answer.
func silent(ctx context.Context, addr netip.AddrPort, owner uint32, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if uid := listenerUID(ctx, addr); uid >= 0 && uid != int(owner) {
		return &StrangerError{uint32(uid)}
	}
	return fmt.Errorf("%w: what listens at %s keeps silent", ErrNoAnswer, addr)
}

// ping returns nil when anything at addr answers an RPC call, even by refusing it.
func ping(ctx context.Context, addr netip.AddrPort) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := explain(c.Null(ctx)); errors.Is(err, ErrNoAnswer) {
		return fmt.Errorf("NULL to %s: %w", addr, err)
	}
	return nil
}

// client is a connection to a server.
type client struct {
	*nfsclient.Client
	nc net.Conn
}

// dial connects as the user who asks.
func dial(ctx context.Context, addr netip.AddrPort) (*client, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return &client{nc: nc, Client: nfsclient.New(nc, nfsclient.Options{
		Cred:     nfsclient.Self(),
		MaxReply: maxReply,
	})}, nil
}

// whose returns nil when the server, which has answered, is of the user owner.
func (c *client) whose(owner uint32) error {
	uid, err := peeruid.Of(c.nc)
	if err == nil && owner != uid {
		return &StrangerError{uid}
	}
	return err
}

// explain tells a server's refusal from what is no answer of an NFS server.
func explain(err error) error {
	_, denied := errors.AsType[*nfsclient.RPCError](err)
	_, refused := errors.AsType[nfsclient.Status](err)
	if err == nil || denied || refused {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNoAnswer, err)
}

// explainMnt says in words why MNT was refused (RFC 1813 §5.1.5).
func explainMnt(err error) error {
	switch {
	case errors.Is(err, nfsclient.ErrNoEnt):
		return errors.New("that path is not exported")
	case errors.Is(err, nfsclient.ErrPerm), errors.Is(err, nfsclient.ErrAcces):
		return errors.New("only its owner and root are let in")
	}
	return explain(err)
}
