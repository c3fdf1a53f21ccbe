package mount

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/procnet"
)

func TestTakes(t *testing.T) {
	addr := netip.MustParseAddrPort("127.0.0.1:12049")
	if takes(&procnet.Socket{Local: addr, State: procnet.Established}, addr) {
		t.Error("a connection keeps others from listening")
	}
	tt := []struct {
		socket, addr string
		want         bool
	}{
		{"127.0.0.1:12049", "127.0.0.1:12049", true},
		{"0.0.0.0:12049", "127.0.0.1:12049", true},
		{"[::]:12049", "127.0.0.1:12049", true},
		{"127.0.0.2:12049", "127.0.0.1:12049", false},
		{"127.0.0.1:12050", "127.0.0.1:12049", false},
	}
	for _, tc := range tt {
		s := procnet.Socket{Local: netip.MustParseAddrPort(tc.socket), State: procnet.Listen}
		if got := takes(&s, netip.MustParseAddrPort(tc.addr)); got != tc.want {
			t.Errorf("%s for %s: got %v, want %v", tc.socket, tc.addr, got, tc.want)
		}
	}
}

func TestParseLsof(t *testing.T) {
	tt := []struct {
		text string
		want Holder
	}{
		{"p4711\ncnixnfsd\nu501\nf7\n", Holder{4711, "nixnfsd", 501}},
		{"p1\nca\nu0\np2\ncb\nu1\n", Holder{1, "a", 0}},
		{"", Holder{UID: -1}},
		{"\n\nx\n", Holder{UID: -1}},
	}
	for _, tc := range tt {
		if got := parseLsof(tc.text); got != tc.want {
			t.Errorf("%q: got %+v, want %+v", tc.text, got, tc.want)
		}
	}
}

func TestHolderString(t *testing.T) {
	tt := []struct {
		holder Holder
		want   string
	}{
		{Holder{4711, "nixnfsd", 501}, "nixnfsd (process 4711)"},
		{Holder{4711, "", 501}, "process 4711"},
		{Holder{UID: 0}, "a program of uid 0"},
		{unknownHolder, "another program"},
	}
	for _, tc := range tt {
		if got := tc.holder.String(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestListenerAtFindsThisProcess(t *testing.T) {
	l := listen(t)
	got := ListenerAt(t.Context(), l.Addr().(*net.TCPAddr).AddrPort())
	if got.PID != os.Getpid() || got.Name == "" || got.UID != os.Getuid() {
		t.Errorf("got %+v, want process %d of uid %d", got, os.Getpid(), os.Getuid())
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
