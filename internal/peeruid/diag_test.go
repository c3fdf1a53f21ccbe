package peeruid

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"syscall"
	"testing"
)

// diagAnswer is a message as Linux gives it.
func diagAnswer(family, state byte, e ends, uid, inode uint32) []byte {
	b := make([]byte, nlHead+diagMsg+32) // attributes follow
	ne := binary.NativeEndian
	ne.PutUint32(b, uint32(len(b)))
	ne.PutUint16(b[4:], sockDiagByFamily)
	msg := b[nlHead:]
	msg[0], msg[1] = family, state
	binary.BigEndian.PutUint16(msg[4:], e.client.Port())
	binary.BigEndian.PutUint16(msg[6:], e.server.Port())
	src, dst := e.client.Addr(), e.server.Addr()
	if family == familyIPv6 && src.Is4() {
		m, n := src.As16(), dst.As16()
		copy(msg[8:], m[:])
		copy(msg[24:], n[:])
	} else {
		copy(msg[8:], src.AsSlice())
		copy(msg[24:], dst.AsSlice())
	}
	ne.PutUint32(msg[64:], uid)
	ne.PutUint32(msg[68:], inode)
	return b
}

func TestDiagRequest(t *testing.T) {
	ne := binary.NativeEndian
	head := ne.AppendUint32(nil, 72)
	head = ne.AppendUint16(head, 20) // SOCK_DIAG_BY_FAMILY
	head = ne.AppendUint16(head, 1)  // NLM_F_REQUEST
	got := hex.EncodeToString(ends{server, client}.diagRequest())
	want := hex.EncodeToString(head) + "00000000" + "00000000" +
		"02060000" + "00000000" + // AF_INET, IPPROTO_TCP
		"9c40" + "2f11" + "7f000001" + "000000000000000000000000" + "7f000001" + "000000000000000000000000" +
		"00000000" + "ffffffffffffffff"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestParseDiag(t *testing.T) {
	six := ends{addr("[::1]:12049"), addr("[::1]:40000")}
	for _, tt := range []struct {
		name string
		msg  []byte
		want socket
	}{
		{"IPv4", diagAnswer(familyIPv4, 1, ends{server, client}, 1000, 7), socket{client, server, 1000, true}},
		{"IPv6", diagAnswer(familyIPv6, 1, six, 1000, 7), socket{six.client, six.server, 1000, true}},
		{"IPv4 of an IPv6 socket", diagAnswer(familyIPv6, 1, ends{server, client}, 1000, 7), socket{client, server, 1000, true}},
		{"half closed", diagAnswer(familyIPv4, 5, ends{server, client}, 1000, 7), socket{client, server, 1000, true}},
		{"nobody has it", diagAnswer(familyIPv4, 4, ends{server, client}, 0, 0), socket{client, server, 0, false}},
		{"about to be connected", diagAnswer(familyIPv4, 2, ends{server, client}, 1000, 7), socket{client, server, 1000, false}},
		{"TIME_WAIT", diagAnswer(familyIPv4, 6, ends{server, client}, 0, 0), socket{client, server, 0, false}},
		{"a listener", diagAnswer(familyIPv4, 10, ends{server, client}, 0, 7), socket{client, server, 0, false}},
		{"another family", diagAnswer(1, 1, ends{server, client}, 0, 7), socket{uid: 0, live: true}},
	} {
		if got, err := parseDiag(tt.msg); err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestParseDiagRefuses(t *testing.T) {
	b := diagAnswer(familyIPv4, 1, ends{server, client}, 1000, 7)
	for n := range nlHead + diagMsg {
		if got, err := parseDiag(b[:n]); err == nil {
			t.Errorf("%d bytes: got %+v", n, got)
		}
	}
	b[4] = 3 // NLMSG_DONE
	if got, err := parseDiag(b); !errors.Is(err, errMessage) {
		t.Errorf("another message: got %+v, %v", got, err)
	}
	b[4] = nlmsgError
	binary.NativeEndian.PutUint32(b[nlHead:], ^uint32(syscall.ENOENT)+1)
	if got, err := parseDiag(b); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("an error: got %+v, %v", got, err)
	}
}
