package mount

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const procNetTCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2F11 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0000000000000000 100 0 0 10 0
   2: 0100007F:2F11 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0000000000000000 20 4 30 10 -1
   3: nonsense
   4: 0100007F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1
`

const procNetTCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   501        0 5 1 0000000000000000 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   501        0 6 1 0000000000000000 100 0 0 10 0
`

func TestParseProcNet(t *testing.T) {
	got := append(parseProcNet(procNetTCP), parseProcNet(procNetTCP6)...)
	want := []listener{
		{netip.MustParseAddrPort("127.0.0.1:12049"), 1000, "4711"},
		{netip.MustParseAddrPort("0.0.0.0:22"), 0, "99"},
		{netip.MustParseAddrPort("[::1]:8080"), 501, "5"},
		{netip.MustParseAddrPort("127.0.0.1:8081"), 501, "6"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(listener{}), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
}

func TestTakes(t *testing.T) {
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
		l := listener{addr: netip.MustParseAddrPort(tc.socket)}
		if got := l.takes(netip.MustParseAddrPort(tc.addr)); got != tc.want {
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
