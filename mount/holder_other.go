//go:build !linux && !darwin

package mount

import (
	"context"
	"net/netip"
)

// ListenerAt does not know on this system.
func ListenerAt(context.Context, netip.AddrPort) Holder { return unknownHolder }
