package nfs

import (
	"slices"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// page reads one page of a listing; size is that of the resok structure.
func page(t *testing.T, s *Server, proc uint32, cookie uint64, a *args) (names []string, last uint64, eof bool, size int) {
	_, d := ask(t, s, nfsCall(1, proc, &owner, a))
	size = d.Left() - 4
	if st := status(d.Uint32()); st != statusOK {
		t.Fatalf("got %v", st)
	}
	if !d.Bool() {
		t.Error("no attributes of the directory")
	}
	d.Fixed(fattrSize)
	d.Uint64()
	for last = cookie; d.Bool(); {
		d.Uint64()
		names = append(names, string(d.Opaque(maxName)))
		last = d.Uint64()
		if proc == procReaddirplus {
			checkPlus(t, d)
		}
	}
	eof = d.Bool()
	if d.Err != nil || d.Left() != 0 {
		t.Fatalf("got a malformed page: %v, %d bytes left", d.Err, d.Left())
	}
	return names, last, eof, size
}

// checkPlus reads an entry's attributes and handle: both have to be there.
func checkPlus(t *testing.T, d *xdr.Decoder) {
	if !d.Bool() {
		t.Error("entry has no attributes")
	}
	d.Fixed(fattrSize)
	if !d.Bool() {
		t.Error("entry has no handle")
	}
	if id, ok := newHandles(testKey).parse(d.Opaque(maxHandle)); !ok || id != fakeFile {
		t.Errorf("entry has handle of %v, %v", id, ok)
	}
}

func TestListing(t *testing.T) {
	f := newFakeFS()
	s := newServer(f)
	var want []string
	for i := range f.entries + 2 {
		want = append(want, string(fakeName(i)))
	}
	for _, tt := range []struct {
		name          string
		proc          uint32
		dircount, max uint32
		bound         int // of a page, in bytes
	}{
		{"small pages", procReaddir, 0, 200, 200},
		{"odd pages", procReaddir, 0, 333, 333},
		{"one page", procReaddir, 0, 1 << 20, maxList},
		{"plus, small pages", procReaddirplus, 4096, 300, 300},
		{"plus, bound by dircount", procReaddirplus, 128, 1 << 20, 1000},
		{"plus, no dircount", procReaddirplus, 0, 4096, 4096},
		{"plus, one page", procReaddirplus, 1 << 20, 1 << 20, maxList},
		{"plus, greatest count", procReaddirplus, 1<<32 - 1, 1<<32 - 1, maxList},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for cookie, eof := uint64(0), false; !eof; {
				a := on(fakeRoot).u64(cookie).u64(0)
				if tt.proc == procReaddirplus {
					a.u32(tt.dircount)
				}
				var names []string
				var size int
				names, cookie, eof, size = page(t, s, tt.proc, cookie, a.u32(tt.max))
				if size > tt.bound {
					t.Errorf("got a page of %d bytes, want at most %d", size, tt.bound)
				}
				got = append(got, names...)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestLargeListingIsBounded(t *testing.T) {
	f := newFakeFS()
	f.entries = 100_000
	for _, proc := range []uint32{procReaddir, procReaddirplus} {
		a := on(fakeRoot).u64(0).u64(0).u32(1<<20, 1<<20)
		_, _, eof, size := page(t, newServer(f), proc, 0, a)
		if eof || size > maxList || size < maxList-300 {
			t.Errorf("got %d bytes, eof %v; want nearly %d", size, eof, maxList)
		}
	}
}

func TestReadReply(t *testing.T) {
	f := newFakeFS()
	f.data = []byte("0123456789")
	s := newServer(f)
	for _, tt := range []struct {
		off   uint64
		count uint32
		want  string
		eof   bool
	}{
		{0, 10, "0123456789", true},
		{0, 9, "012345678", false},
		{3, 4, "3456", false},
		{9, 1 << 30, "9", true},
		{10, 5, "", true},
		{1 << 63, 5, "", true},
		{2, 0, "", false},
	} {
		_, d := ask(t, s, nfsCall(1, procRead, &owner, on(fakeFile).u64(tt.off).u32(tt.count)))
		d.Uint32()
		d.Bool()
		d.Fixed(fattrSize)
		n, eof, got := d.Uint32(), d.Bool(), string(d.Opaque(maxIO))
		if got != tt.want || int(n) != len(got) || eof != tt.eof || d.Err != nil || d.Left() != 0 {
			t.Errorf("%d at %d: got %q, count %d, eof %v, %v", tt.count, tt.off, got, n, eof, d.Err)
		}
	}
}

func TestTimesOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		t    overlay.Time
		want [8]byte
	}{
		{overlay.Time{Sec: 1, Nsec: 999_999_999}, [8]byte{0, 0, 0, 1, 0x3b, 0x9a, 0xc9, 0xff}},
		{overlay.Time{Sec: -1, Nsec: 5}, [8]byte{}},
		{overlay.Time{Sec: 1<<32 - 1, Nsec: 7}, [8]byte{255, 255, 255, 255, 0, 0, 0, 7}},
		{overlay.Time{Sec: 1 << 32, Nsec: 7}, [8]byte{255, 255, 255, 255}},
	} {
		var got [8]byte
		putTime(got[:], tt.t)
		if got != tt.want {
			t.Errorf("%v: got % x, want % x", tt.t, got, tt.want)
		}
	}
}
