package peeruid

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

var (
	server = addr("127.0.0.1:12049")
	client = addr("127.0.0.1:40000")
)

func TestOwner(t *testing.T) {
	mine := socket{client, server, 1000, true}
	other := func(change func(*socket)) socket {
		s := mine
		change(&s)
		return s
	}
	for _, tt := range []struct {
		name    string
		sockets []socket
		want    uint32
		err     error
	}{
		{"none", nil, 0, ErrUnknown},
		{"the client's", []socket{mine}, 1000, nil},
		{"seen twice", []socket{mine, mine}, 1000, nil},
		{"only our own end", []socket{{server, client, 0, true}}, 0, ErrUnknown},
		{"another port", []socket{other(func(s *socket) { s.local = addr("127.0.0.1:40001") })}, 0, ErrUnknown},
		{"another address", []socket{other(func(s *socket) { s.local = addr("127.0.0.2:40000") })}, 0, ErrUnknown},
		{"connected elsewhere", []socket{other(func(s *socket) { s.remote = addr("127.0.0.1:12050") })}, 0, ErrUnknown},
		{"a listener's", []socket{other(func(s *socket) { s.remote = addr("0.0.0.0:0") })}, 0, ErrUnknown},
		{"closed, which root's is said to be", []socket{other(func(s *socket) { s.uid, s.live = 0, false })}, 0, ErrClosed},
		{"closed beside another", []socket{mine, other(func(s *socket) { s.live = false })}, 0, ErrClosed},
	} {
		got, err := ends{server, client}.owner(slices.Values(tt.sockets))
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %d, %v, want %d, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
	if _, err := (ends{server, client}).owner(slices.Values([]socket{mine, other(func(s *socket) { s.uid = 0 })})); err == nil {
		t.Error("two users have it: got no error")
	}
}

// TestOfThisProcess has connections to itself.
func TestOfThisProcess(t *testing.T) {
	for _, tt := range []struct{ name, listen, to string }{
		{"IPv4", "127.0.0.1:0", ""},
		{"IPv6", "[::1]:0", ""},
		{"IPv4 of an IPv6 socket", "[::]:0", "127.0.0.1"},
		{"another loopback address", "127.0.0.2:0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := testenv.Connection(t, tt.listen, tt.to)
			for _, c := range []net.Conn{a, b} {
				if got, err := Of(c); err != nil || got != uint32(os.Getuid()) {
					t.Errorf("got %d, %v, want %d", got, err, os.Getuid())
				}
			}
			if err := b.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got, err := Of(a); err != nil || got != uint32(os.Getuid()) {
				t.Errorf("the client has said all it had to say: got %d, %v", got, err)
			}
		})
	}
}

// TestOfClosed: who sends and closes at once is nobody, and not root.
func TestOfClosed(t *testing.T) {
	a, b := testenv.Connection(t, "127.0.0.1:0", "")
	if _, err := b.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if got, err := Of(a); !errors.Is(err, ErrClosed) && !errors.Is(err, ErrUnknown) {
		t.Errorf("got %d, %v", got, err)
	}
}

// TestOfReset: a connection that was reset before it was accepted is nobody's, though
// another one has its addresses by then. What its client sent can still be read.
func TestOfReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// Nobody else is on this address, who could take the port before it is used again.
	first := dialFrom(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}, l.Addr())
	local := first.LocalAddr()
	if _, err := first.Write([]byte("evil")); err != nil {
		t.Fatal(err)
	}
	if err := first.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	first.Close()
	second := dialFrom(t, local, l.Addr())
	defer second.Close()
	var got []string
	for range 2 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		uid, err := Of(c)
		got = append(got, fmt.Sprint(uid, errors.Is(err, ErrClosed)))
	}
	want := []string{"0 true", fmt.Sprint(os.Getuid(), false)}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// dialFrom connects from an address that another connection may have had.
func dialFrom(t *testing.T, from net.Addr, to net.Addr) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: from, Control: func(_, _ string, raw syscall.RawConn) (err error) {
		cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
		return errors.Join(err, cerr)
	}}
	c, err := d.DialContext(t.Context(), "tcp", to.String())
	testenv.Require(t, !errors.Is(err, syscall.EADDRNOTAVAIL), "the loopback device has one address only")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOfWhatIsNoTCP(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if got, err := Of(a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %d, %v", got, err)
	}
}
