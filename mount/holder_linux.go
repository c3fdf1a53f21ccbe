package mount

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ListenerAt says who listens at addr. Without root it can name the process
// only when that is the caller's own.
func ListenerAt(_ context.Context, addr netip.AddrPort) Holder {
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // no IPv6, or no /proc: less is known
		}
		for _, l := range parseProcNet(string(text)) {
			if l.takes(addr) {
				return socketHolder(&l)
			}
		}
	}
	return unknownHolder
}

// socketHolder looks for the process that has the socket open. Only the links
// of /proc are read, never what they lead to.
func socketHolder(l *listener) Holder {
	h := Holder{UID: l.uid}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return h
	}
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || target != "socket:["+l.inode+"]" {
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
