package mount

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Holder is the process that listens at an address, as far as the system tells.
type Holder struct {
	PID  int    // 0: not known
	Name string // of the program, empty: not known
	UID  int    // of the socket's owner, -1: not known
}

// String names the holder in the middle of a sentence.
func (h Holder) String() string {
	switch {
	case h.PID != 0 && h.Name != "":
		return fmt.Sprintf("%s (process %d)", h.Name, h.PID)
	case h.PID != 0:
		return fmt.Sprintf("process %d", h.PID)
	case h.UID >= 0:
		return fmt.Sprintf("a program of uid %d", h.UID)
	}
	return "another program"
}

// unknownHolder is what is said where the system does not tell.
var unknownHolder = Holder{UID: -1}

// listener is a listening socket of /proc/net/tcp or tcp6.
type listener struct {
	addr  netip.AddrPort
	uid   int
	inode string
}

// parseProcNet reads the listening sockets out of /proc/net/tcp or tcp6
// (proc_net(5)). Lines that are not understood are passed over: without them
// only a message is less exact.
func parseProcNet(text string) []listener {
	const listen = "0A"
	var found []listener
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != listen {
			continue
		}
		addr, ok := parseProcAddr(f[1])
		uid, err := strconv.Atoi(f[7])
		if ok && err == nil {
			found = append(found, listener{addr: addr, uid: uid, inode: f[9]})
		}
	}
	return found
}

// parseProcAddr reads "0100007F:2F11": the address as words in the byte order
// of the machine, which is little on all that Go and we know, and the port.
func parseProcAddr(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	if err != nil || perr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.LittleEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok
}

// takes reports whether the socket keeps others from listening at addr.
func (l *listener) takes(addr netip.AddrPort) bool {
	return l.addr.Port() == addr.Port() && (l.addr.Addr() == addr.Addr().Unmap() || l.addr.Addr().IsUnspecified())
}

// parseLsof reads the first process of `lsof -Fpcu` (lsof(8), OUTPUT FOR OTHER
// PROGRAMS): a letter for the field, then its value, one a line.
func parseLsof(text string) Holder {
	h := unknownHolder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		value := line[1:]
		switch line[0] {
		case 'p':
			if h.PID != 0 {
				return h
			}
			h.PID, _ = strconv.Atoi(value) // 0 is "not known"
		case 'c':
			h.Name = value
		case 'u':
			if uid, err := strconv.Atoi(value); err == nil {
				h.UID = uid
			}
		}
	}
	return h
}
