package peeruid

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// connection is an entry of a synthetic table.
type connection struct {
	local, remote string
	mapped        bool // IPv4 addresses as IPv6 ones
	noSocket      bool
	monterey      bool // its struct xsocket_n is that of xnu-8020
	uid, state    uint32
}

// pcblist makes a table as xnu does: sizes are those of xnu-11417 where nothing else is said.
func pcblist(conns ...connection) []byte {
	gen := record{binary.NativeEndian.AppendUint32(nil, genSize)}
	gen.grow(genSize)
	gen.put32(4, 16) // the count is where records have their kind: this is one's, too
	table := slices.Clone(gen.b)
	for _, c := range conns {
		table = append(table, c.records()...)
	}
	return append(table, gen.b...)
}

type record struct{ b []byte }

func (r *record) grow(n int)             { r.b = append(r.b, make([]byte, n-len(r.b))...) }
func (r *record) put32(at int, v uint32) { binary.NativeEndian.PutUint32(r.b[at:], v) }

func newRecord(size int, kind uint32) *record {
	r := &record{}
	r.grow((size + 7) &^ 7)
	r.put32(0, uint32(size))
	r.put32(4, kind)
	return r
}

func (c connection) records() []byte {
	const bufferSize, statsSize, wholeTCPSize = 32, 136, 204
	socketSize := 104
	if c.monterey {
		socketSize = 76 // so_e_pid is its last field
	}
	addrs, so, tcp := newRecord(104, 0x10), newRecord(socketSize, 0x01), newRecord(wholeTCPSize, 0x20)
	local, remote := netip.MustParseAddrPort(c.local), netip.MustParseAddrPort(c.remote)
	binary.BigEndian.PutUint16(addrs.b[16:], remote.Port())
	binary.BigEndian.PutUint16(addrs.b[18:], local.Port())
	r, l := remote.Addr().As16(), local.Addr().As16()
	addrs.b[44] = 2
	if local.Addr().Is4() && !c.mapped {
		addrs.b[44] = 1
		clear(r[:12])
		clear(l[:12])
	}
	copy(addrs.b[48:], r[:])
	copy(addrs.b[64:], l[:])
	if !c.noSocket {
		binary.NativeEndian.PutUint64(so.b[8:], 0xdeadbeef)
	}
	so.put32(64, c.uid)
	so.put32(68, 4711) // so_last_pid
	tcp.put32(36, c.state)
	// A connection without a socket has buffers of no kind.
	return slices.Concat(addrs.b, so.b, newRecord(bufferSize, 2).b, newRecord(bufferSize, 0).b, newRecord(statsSize, 8).b, tcp.b)
}

var pcbTable = []connection{
	{local: "127.0.0.1:12049", remote: "0.0.0.0:0", uid: 501, state: 1},
	{local: "127.0.0.1:12049", remote: "127.0.0.1:40000", uid: 501, state: 4},
	{local: "127.0.0.1:40000", remote: "127.0.0.1:12049", uid: 0, state: 4},
	{local: "127.0.0.1:40001", remote: "127.0.0.1:12049", uid: 502, state: 9, mapped: true},
	{local: "[::1]:40002", remote: "[::1]:12049", uid: 502, state: 6},
	{local: "127.0.0.1:40003", remote: "127.0.0.1:12049", uid: 501, state: 2},
	{local: "127.0.0.1:40004", remote: "127.0.0.1:12049", uid: 501, state: 10},
	{local: "127.0.0.1:40005", remote: "127.0.0.1:12049", state: 4, noSocket: true},
	{local: "127.0.0.1:40006", remote: "127.0.0.1:12049", uid: 501, state: 4, monterey: true},
}

func TestPCBs(t *testing.T) {
	got := slices.Collect(pcbs(pcblist(pcbTable...)))
	var want []socket
	for i, c := range pcbTable {
		live := []bool{false, true, true, true, true, false, false, false, true}[i]
		want = append(want, socket{addr(c.local), addr(c.remote), c.uid, live})
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(socket{}), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
}

// TestPCBsCutShort: of a table that ends anywhere, what is whole is as it was.
func TestPCBsCutShort(t *testing.T) {
	table := pcblist(pcbTable...)
	want := slices.Collect(pcbs(table))
	for n := range table {
		got := slices.Collect(pcbs(table[:n:n]))
		if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Fatalf("%d bytes: got %+v", n, got)
		}
	}
}

// TestPCBsOutOfOrder: addresses and user of different connections are never joined.
func TestPCBsOutOfOrder(t *testing.T) {
	addrs := connection{local: "127.0.0.1:40000", remote: "127.0.0.1:12049", state: 4}.records()[:104]
	whole := connection{local: "127.0.0.1:1", remote: "127.0.0.1:2", uid: 7, state: 4}.records()
	header := pcblist()[:genSize]
	for _, tt := range []struct {
		name  string
		table []byte
		want  int
	}{
		{"addresses twice", slices.Concat(header, addrs, whole), 1},
		{"no addresses", slices.Concat(header, whole[104:]), 0},
		{"socket twice", slices.Concat(header, whole[:208], whole[104:208], whole[208:]), 1},
	} {
		got := slices.Collect(pcbs(tt.table))
		if len(got) != tt.want || tt.want == 1 && got[0] != (socket{addr("127.0.0.1:1"), addr("127.0.0.1:2"), 7, true}) {
			t.Errorf("%s: got %+v", tt.name, got)
		}
	}
}

func FuzzPCBs(f *testing.F) {
	f.Add(pcblist(pcbTable...))
	f.Fuzz(func(_ *testing.T, table []byte) {
		for range pcbs(table) {
		}
	})
}
