package peeruid

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/procnet"
)

// The messages of Linux's sock_diag(7) and netlink(7), and where their fields are
// (linux/netlink.h, linux/inet_diag.h).
const (
	nlmsgError       = 2
	sockDiagByFamily = 20
	nlmRequest       = 1

	nlHead     = 16 // struct nlmsghdr
	diagReq    = 56 // struct inet_diag_req_v2
	diagMsg    = 72 // struct inet_diag_msg
	diagFamily = 0
	diagState  = 1
	diagID     = 4 // struct inet_diag_sockid
	diagUID    = 64
	diagInode  = 68

	idSize   = 48
	idSport  = 0
	idDport  = 2
	idSrc    = 4
	idDst    = 20
	idCookie = 40

	protoTCP = 6
	// Linux's numbers of the families: these are read on other systems, too, by tests.
	familyIPv4 = 2
	familyIPv6 = 10
)

var errMessage = errors.New("sock_diag's answer is not understood")

// diagRequest asks for the client's socket.
func (e ends) diagRequest() []byte {
	b := make([]byte, nlHead+diagReq)
	ne := binary.NativeEndian
	ne.PutUint32(b, uint32(len(b)))
	ne.PutUint16(b[4:], sockDiagByFamily)
	ne.PutUint16(b[6:], nlmRequest)
	req := b[nlHead:]
	req[0] = familyIPv6
	if e.client.Addr().Is4() {
		req[0] = familyIPv4
	}
	req[1] = protoTCP
	id := req[diagReq-idSize:]
	binary.BigEndian.PutUint16(id[idSport:], e.client.Port())
	binary.BigEndian.PutUint16(id[idDport:], e.server.Port())
	copy(id[idSrc:], e.client.Addr().AsSlice())
	copy(id[idDst:], e.server.Addr().AsSlice())
	ne.PutUint64(id[idCookie:], ^uint64(0)) // INET_DIAG_NOCOOKIE, twice: whichever it is
	return b
}

// parseDiag reads the one message that answers diagRequest.
func parseDiag(b []byte) (s socket, err error) {
	if len(b) < nlHead+4 {
		return s, errMessage
	}
	msg := b[nlHead:]
	switch typ := binary.NativeEndian.Uint16(b[4:]); {
	case typ == nlmsgError:
		errno := -int32(binary.NativeEndian.Uint32(msg))
		return s, fmt.Errorf("sock_diag: %w", syscall.Errno(errno))
	case typ != sockDiagByFamily || len(msg) < diagMsg:
		return s, errMessage
	}
	id := msg[diagID:]
	s.local = diagAddr(msg[diagFamily], id[idSrc:], id[idSport:])
	s.remote = diagAddr(msg[diagFamily], id[idDst:], id[idDport:])
	s.uid = binary.NativeEndian.Uint32(msg[diagUID:])
	s.live = live(msg[diagState], uint64(binary.NativeEndian.Uint32(msg[diagInode:])))
	return s, nil
}

// diagAddr reads an address; that of a family which is not known equals no other.
func diagAddr(family byte, addr, port []byte) netip.AddrPort {
	p := binary.BigEndian.Uint16(port)
	switch family {
	case familyIPv4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(addr)), p)
	case familyIPv6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(addr)).Unmap(), p)
	}
	return netip.AddrPort{}
}

// live judges what Linux says of a socket. One that has shut down its own side only is
// connected and somebody's.
func live(state uint8, inode uint64) bool {
	return inode != 0 && (state == procnet.Established || state == procnet.FinWait1 || state == procnet.FinWait2)
}
