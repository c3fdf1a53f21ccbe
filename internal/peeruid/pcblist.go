package peeruid

import (
	"encoding/binary"
	"iter"
	"net/netip"
)

// The table of net.inet.tcp.pcblist_n on macOS (xnu bsd/netinet/in_pcblist.c): a
// header, records, and a trailer like the header. A record begins with its length and
// kind, and is padded to 8 bytes. For each connection there are several records: of
// the protocol's addresses, of the socket, of buffers, and of TCP. All numbers are the
// machine's but for the addresses'.
const (
	genSize = 24 // struct xinpgen; every record is longer

	kindSocket = 0x01 // XSO_SOCKET, struct xsocket_n
	kindAddrs  = 0x10 // XSO_INPCB, struct xinpcb_n
	kindTCP    = 0x20 // XSO_TCPCB, struct xtcpcb_n

	addrsSize       = 104
	addrsRemotePort = 16
	addrsLocalPort  = 18
	addrsVersion    = 44 // inp_vflag
	addrsRemote     = 48 // 16 bytes: IPv6, or 12 of padding and IPv4
	addrsLocal      = 64

	socketSize = 68 // as far as it is looked at: 76 bytes in macOS 12 (xnu-8020), 104 from 13 on
	socketID   = 8  // xso_so, 0: there is no socket
	socketUID  = 64

	tcpSize  = 40 // as far as it is looked at
	tcpState = 36
)

// isIPv4 is a bit of inp_vflag (INP_IPV4).
const isIPv4 = 1

// The states of TCP in which a socket is connected (bsd/netinet/tcp_fsm.h).
const (
	tcpsEstablished = 4
	tcpsFinWait1    = 6
	tcpsFinWait2    = 9
)

// pcbs gives the sockets of a table up to where that is cut short or not understood.
func pcbs(table []byte) iter.Seq[socket] {
	return func(yield func(socket) bool) {
		p := pcb{}
		for rec := range records(table) {
			if p.add(rec) && !yield(p.socket) {
				return
			}
		}
	}
}

// records gives the records between header and trailer.
func records(table []byte) iter.Seq[[]byte] {
	const align = 8
	return func(yield func([]byte) bool) {
		if len(table) < genSize {
			return
		}
		for table = table[genSize:]; len(table) > genSize; {
			n := uint64(binary.NativeEndian.Uint32(table))
			if n <= genSize || n > uint64(len(table)) || !yield(table[:n]) {
				return
			}
			table = table[min((n+align-1)&^(align-1), uint64(len(table))):]
		}
	}
}

// pcb is a connection whose records are being read.
type pcb struct {
	socket
	seen   int // kinds of records
	exists bool
}

// add reads a record, and reports whether it makes the connection complete.
func (p *pcb) add(rec []byte) (complete bool) {
	switch kind := binary.NativeEndian.Uint32(rec[4:]); {
	case kind == kindAddrs && len(rec) >= addrsSize:
		*p = pcb{seen: kindAddrs}
		p.local = pcbAddr(rec, addrsLocal, addrsLocalPort)
		p.remote = pcbAddr(rec, addrsRemote, addrsRemotePort)
	case kind == kindSocket && len(rec) >= socketSize && p.seen == kindAddrs:
		p.seen |= kindSocket
		p.uid = binary.NativeEndian.Uint32(rec[socketUID:])
		p.exists = binary.NativeEndian.Uint64(rec[socketID:]) != 0
	case kind == kindTCP && len(rec) >= tcpSize && p.seen == kindAddrs|kindSocket:
		p.seen = 0
		state := binary.NativeEndian.Uint32(rec[tcpState:])
		p.live = p.exists && (state == tcpsEstablished || state == tcpsFinWait1 || state == tcpsFinWait2)
		return true
	}
	return false
}

func pcbAddr(rec []byte, addr, port int) netip.AddrPort {
	p := binary.BigEndian.Uint16(rec[port:])
	if rec[addrsVersion]&isIPv4 != 0 {
		const padding = 12
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(rec[addr+padding:])), p)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(rec[addr:])).Unmap(), p)
}
