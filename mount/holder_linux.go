package mount

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/procnet"
)

// ListenerAt says who listens at addr. Without root it can name the process
// only when that is the caller's own.
func ListenerAt(_ context.Context, addr netip.AddrPort) Holder {
	for s := range procnet.TCP() {
		if takes(&s, addr) {
			return socketHolder(&s)
		}
	}
	return unknownHolder
}

// listenerUID says whose the socket is that connections to addr go to, -1: not known. One of
// that very address goes before one of all (tcp(7)).
func listenerUID(_ context.Context, addr netip.AddrPort) int {
	uid := -1
	for s := range procnet.TCP() {
		switch {
		case !takes(&s, addr):
		case !s.Local.Addr().IsUnspecified():
			return int(s.UID)
		case uid < 0:
			uid = int(s.UID)
		}
	}
	return uid
}

// socketHolder looks for the process that has the socket open. Only the links
// of /proc are read, never what they lead to.
func socketHolder(s *procnet.Socket) Holder {
	h := Holder{UID: int(s.UID)}
	link := fmt.Sprintf("socket:[%d]", s.Inode)
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return h
	}
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || target != link {
			continue
		}
		process := filepath.Dir(filepath.Dir(fd))
		h.PID, _ = strconv.Atoi(filepath.Base(process)) // 0 is "not known"
		name, _ := os.ReadFile(process + "/comm")       // may be gone meanwhile
		h.Name = strings.TrimSpace(string(name))
		return h
	}
	return h
}
