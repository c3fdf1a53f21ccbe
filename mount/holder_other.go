//go:build !linux && !darwin

package mount

import (
	"context"
	"net/netip"
)

func listenerUID(context.Context, netip.AddrPort) int { return -1 }

// ListenerAt does not know on this system.
func ListenerAt(context.Context, netip.AddrPort) Holder { return unknownHolder }
