package oncrpc_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
)

const limit = 1 << 20

// fragment gives b as one record, cut at random; some fragments are empty.
func fragment(r *rand.Rand, b []byte) (out []byte) {
	for r.IntN(3) > 0 {
		n := r.IntN(len(b) + 1)
		out = append(binary.BigEndian.AppendUint32(out, uint32(n)), b[:n]...)
		b = b[n:]
	}
	return append(binary.BigEndian.AppendUint32(out, 1<<31|uint32(len(b))), b...)
}

// stream gives records of many sizes, and all of them as one stream.
func stream(r *rand.Rand) (records [][]byte, out []byte) {
	for range 25 {
		sizes := [...]int{r.IntN(64), r.IntN(8 << 10), 256<<10 - 8 + r.IntN(16), r.IntN(limit + 1)}
		b := make([]byte, sizes[r.IntN(len(sizes))])
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		records, out = append(records, b), append(out, fragment(r, b)...)
	}
	return records, out
}

// pieces gives a stream in reads of random sizes.
type pieces struct {
	r *rand.Rand
	b []byte
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), 1+p.r.IntN(100<<10))], p.b)
	p.b = p.b[n:]
	return n, nil
}

// memory counts what it has lent.
type memory struct{ lent int }

func (m *memory) Big() []byte {
	m.lent++
	return make([]byte, 0, limit)
}

// next gives the next record of d, reading as it asks for it.
func next(d *oncrpc.Reader) ([]byte, error) {
	for {
		rec, _, err := d.Next()
		if rec != nil || err != nil {
			return rec, err
		}
		if err := d.Fill(); err != nil {
			return nil, err
		}
	}
}

func TestRecords(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		want, b := stream(r)
		plain := &pieces{r, b}
		reader := oncrpc.NewReader(&pieces{r, b}, &memory{}, limit)
		for i := range want {
			if got, err := oncrpc.ReadRecord(plain, nil, limit); err != nil || !bytes.Equal(got, want[i]) {
				t.Fatalf("seed %d: ReadRecord %d: %d bytes, error %v, want %d bytes", seed, i, len(got), err, len(want[i]))
			}
			if got, err := next(reader); err != nil || !bytes.Equal(got, want[i]) {
				t.Fatalf("seed %d: Reader %d: %d bytes, error %v, want %d bytes", seed, i, len(got), err, len(want[i]))
			}
		}
		if _, err := oncrpc.ReadRecord(plain, nil, limit); err != io.EOF {
			t.Errorf("seed %d: ReadRecord at the end: %v, want EOF", seed, err)
		}
		if _, err := next(reader); err != io.EOF {
			t.Errorf("seed %d: Reader at the end: %v, want EOF", seed, err)
		}
	}
}

func TestBadRecords(t *testing.T) {
	empty := bytes.Repeat([]byte{0, 0, 0, 0}, 1<<20)
	tt := []struct {
		name string
		b    []byte
		want error
	}{
		{"longest claim", []byte{0xff, 0xff, 0xff, 0xff, 1}, oncrpc.ErrTooLong},
		{"longest claim, more to come", []byte{0x7f, 0xff, 0xff, 0xff, 1}, oncrpc.ErrTooLong},
		{"just too long", binary.BigEndian.AppendUint32(nil, 1<<31|(limit+1)), oncrpc.ErrTooLong},
		{"too long by its second fragment", []byte{0, 0, 0, 1, 'x', 0x80, 0x10, 0, 0}, oncrpc.ErrTooLong},
		{"empty fragments without end", empty, oncrpc.ErrFragments},
		{"end in the mark", []byte{0x80, 0}, io.ErrUnexpectedEOF},
		{"end in the fragment", []byte{0x80, 0, 0, 2, 1}, io.ErrUnexpectedEOF},
		{"end between fragments", []byte{0, 0, 0, 1, 'x'}, io.ErrUnexpectedEOF},
		{"end behind an empty fragment", []byte{0, 0, 0, 0}, io.ErrUnexpectedEOF},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := oncrpc.ReadRecord(bytes.NewReader(tt.b), nil, limit); !errors.Is(err, tt.want) {
				t.Errorf("ReadRecord: got %v, want %v", err, tt.want)
			}
			src := io.Reader(bytes.NewReader(tt.b))
			if len(tt.b) < 100 {
				src = iotest.OneByteReader(src)
			}
			if _, err := next(oncrpc.NewReader(src, &memory{}, limit)); !errors.Is(err, tt.want) {
				t.Errorf("Reader: got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestClaimsTakeNoMemory: what was announced and does not come is not allocated.
func TestClaimsTakeNoMemory(t *testing.T) {
	claim := binary.BigEndian.AppendUint32(nil, 1<<31|1<<30)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := oncrpc.ReadRecord(bytes.NewReader(claim), nil, 1<<30); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want io.ErrUnexpectedEOF", err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("a claim of 1 GiB took %d bytes", got)
	}
}

// TestReaderLendsLate: records that fit the buffer take none of the memory.
func TestReaderLendsLate(t *testing.T) {
	var b []byte
	for range 1000 {
		b = append(b, 0x80, 0, 1, 0)
		b = append(b, make([]byte, 256)...)
	}
	m := &memory{}
	d := oncrpc.NewReader(bytes.NewReader(b), m, limit)
	for range 1000 {
		if rec, err := next(d); err != nil || len(rec) != 256 {
			t.Fatalf("got %d bytes, error %v, want 256", len(rec), err)
		}
	}
	if m.lent != 0 {
		t.Errorf("memory lent %d times, want never", m.lent)
	}
}
