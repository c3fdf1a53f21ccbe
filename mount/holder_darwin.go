package mount

import (
	"context"
	"fmt"
	"net/netip"
)

// listenerUID says whose the socket is that listens at addr, -1: not known.
func listenerUID(ctx context.Context, addr netip.AddrPort) int { return ListenerAt(ctx, addr).UID }

// ListenerAt says who listens at addr. Without root it can name the process
// only when that is the caller's own. lsof is told not to ask file systems (-b).
func ListenerAt(ctx context.Context, addr netip.AddrPort) Holder {
	text, err := output(ctx, "/usr/sbin/lsof", "-bnPwa", fmt.Sprintf("-iTCP:%d", addr.Port()), "-sTCP:LISTEN", "-Fpcu")
	if err != nil {
		return unknownHolder
	}
	return parseLsof(text)
}
