package nfsclient

import (
	"context"
	"fmt"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// Pending is a call whose reply may still be to come.
type Pending struct {
	proc  Proc
	done  chan struct{}
	reply []byte // whole message
	order int
	err   error
}

// Done is closed when the reply is there, or never will be.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Order tells, after Done, how many replies the connection got before this one.
func (p *Pending) Order() int { return p.order }

// Wait waits for the reply, and gives its header and what follows it. That the call
// was denied is no error here.
func (p *Pending) Wait(ctx context.Context) (oncrpc.Reply, []byte, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		return oncrpc.Reply{}, nil, fmt.Errorf("%v: %w", p.proc, context.Cause(ctx))
	}
	if p.err != nil {
		return oncrpc.Reply{}, nil, fmt.Errorf("%v: %w", p.proc, p.err)
	}
	d := xdr.Decoder{B: p.reply}
	r, err := oncrpc.DecodeReply(&d)
	if err != nil {
		return r, nil, fmt.Errorf("%v: reply header: %w", p.proc, err)
	}
	return r, d.B[d.Off:], nil
}

// Into waits for the reply and decodes its results into res. The error is as the
// package's documentation says.
func (p *Pending) Into(ctx context.Context, res Results) error {
	r, b, err := p.Wait(ctx)
	if err != nil {
		return err
	}
	if !r.Accepted || r.Accept != oncrpc.Success {
		return &RPCError{p.proc, r}
	}
	d := xdr.Decoder{B: b}
	status := res.Decode(&d)
	if d.Err != nil {
		return fmt.Errorf("%v: results: %w", p.proc, d.Err)
	}
	if d.Left() != 0 {
		return fmt.Errorf("%v: %d bytes behind the results", p.proc, d.Left())
	}
	return status.err()
}
