// Package procnet reads the tables of TCP sockets in Linux's /proc (proc_net(5)).
package procnet

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"iter"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// The states of a socket that are used here (include/net/tcp_states.h).
const (
	Established = 1
	FinWait1    = 4
	FinWait2    = 5
	Listen      = 10
)

// Socket is a line of a table.
type Socket struct {
	Local, Remote netip.AddrPort // IPv4 addresses as such, also of IPv6 sockets
	State         uint8
	Unacked       uint32 // bytes that were sent, or are to be, and not acknowledged
	Unread        uint32 // bytes that arrived and were not read; of a listener connections
	UID           uint32
	// Inode is 0 when no process and no part of the kernel has the socket any more; UID
	// is 0 then too, whoever had it.
	Inode uint64
}

// TCP gives the sockets of this network namespace, first those of IPv4. A table that
// cannot be read has none.
func TCP() iter.Seq[Socket] {
	return func(yield func(Socket) bool) {
		for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
			text, err := os.ReadFile(table)
			if err != nil {
				continue // no IPv6, or no /proc
			}
			for s := range Parse(string(text)) {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Parse gives the sockets of a table. Lines that are not understood are passed over.
func Parse(table string) iter.Seq[Socket] {
	return func(yield func(Socket) bool) {
		for line := range strings.Lines(table) {
			if s, ok := parseLine(strings.Fields(line)); ok && !yield(s) {
				return
			}
		}
	}
}

func parseLine(f []string) (s Socket, ok bool) {
	const fields = 10 // and more, which do not matter
	if len(f) < fields {
		return s, false
	}
	local, ok1 := parseAddr(f[1])
	remote, ok2 := parseAddr(f[2])
	sent, received, _ := strings.Cut(f[4], ":")
	var errs [5]error
	number := func(i int, s string, base, bits int) (n uint64) {
		n, errs[i] = strconv.ParseUint(s, base, bits)
		return n
	}
	s = Socket{
		Local: local, Remote: remote, State: uint8(number(0, f[3], 16, 8)),
		Unacked: uint32(number(1, sent, 16, 32)), Unread: uint32(number(2, received, 16, 32)),
		UID: uint32(number(3, f[7], 10, 32)), Inode: number(4, f[9], 10, 64),
	}
	return s, ok1 && ok2 && errors.Join(errs[:]...) == nil
}

// parseAddr reads "0100007F:2F11": the address as words in the byte order of the
// machine, which is little on all that Go and we know, and the port.
func parseAddr(s string) (netip.AddrPort, bool) {
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
