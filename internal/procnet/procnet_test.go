package procnet

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2F11 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:2F11 0100007F:9C40 01 00000010:000000FF 00:00000000 00000000  1000        0 4712 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:C1AA 0100007F:86A1 06 00000000:00000000 03:00001114 00000000     0        0 0 3 00000000a70ca0e8
   3: nonsense
   4: 0100007F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1
   5: 0100007F:2F11 0100007F:9C40 01 00000000:00000000 00:00000000 00000000    -1        0 4714 1
   6: 0100007F:2F11 0100007F:9C40 100 00000000:00000000 00:00000000 00000000   0        0 4714 1
   7: 0100007F:2F11 0100007F:9C40 01 00000000 00:00000000 00000000  1000        0 4714 1
`

const tcp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   501        0 5 1 0000000000000000 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:9C41 0000000000000000FFFF00000100007F:2F11 01 00000000:00000000 00:00000000 00000000 4294967294        0 6 1 0000000000000000 100 0 0 10 0
`

func TestParse(t *testing.T) {
	addr := netip.MustParseAddrPort
	got := slices.Concat(slices.Collect(Parse(tcp)), slices.Collect(Parse(tcp6)))
	want := []Socket{
		{addr("127.0.0.1:12049"), addr("0.0.0.0:0"), Listen, 0, 0, 1000, 4711},
		{addr("127.0.0.1:12049"), addr("127.0.0.1:40000"), Established, 16, 255, 1000, 4712},
		{addr("127.0.0.1:49578"), addr("127.0.0.1:34465"), 6, 0, 0, 0, 0},
		{addr("[::1]:8080"), addr("[::]:0"), Listen, 0, 0, 501, 5},
		{addr("127.0.0.1:40001"), addr("127.0.0.1:12049"), Established, 0, 0, 4294967294, 6},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
}
