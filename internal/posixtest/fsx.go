package posixtest

import (
	"bytes"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

// fsxSize bounds the file of an fsx run.
const fsxSize = 256 << 10

func fsxCases() []testCase {
	return []testCase{
		{name: "one-descriptor", run: func(p *place) { newFsx(p, 1, 1).steps(600) }},
		{name: "three-descriptors", run: func(p *place) { newFsx(p, 2, 3).steps(600) }},
		{name: "reopened", run: func(p *place) {
			x := newFsx(p, 3, 2)
			for range 20 {
				x.steps(20)
				x.reopen(2)
			}
		}},
	}
}

// An fsx makes random changes to a file and to a model of it in memory, and
// compares what it reads. Its seed is fixed: a failure comes back.
type fsx struct {
	*place
	rnd   *rand.Rand
	files []*os.File
	model []byte
}

func newFsx(p *place, seed uint64, descriptors int) *fsx {
	x := &fsx{place: p, rnd: rand.New(rand.NewPCG(seed, 0))}
	x.reopen(descriptors)
	return x
}

func (x *fsx) reopen(descriptors int) {
	for _, f := range x.files {
		x.close(f)
	}
	x.files = nil
	for range descriptors {
		x.files = append(x.files, x.open("f", createRW, 0o644))
	}
}

func (x *fsx) steps(n int) {
	for i := range n {
		x.step()
		if x.Failed() {
			x.Fatalf("in step %d", i)
		}
	}
	x.content("f", string(x.model))
}

func (x *fsx) step() {
	f := x.files[x.rnd.IntN(len(x.files))]
	switch x.rnd.IntN(8) {
	case 0:
		x.truncate(f)
	case 1:
		x.try(f.Sync())
	case 2, 3, 4:
		x.writeAt(f)
	default:
		x.readAt(f)
	}
	same(x.place, "size", x.fstat(f).size, int64(len(x.model)))
}

func (x *fsx) truncate(f *os.File) {
	size := x.rnd.IntN(fsxSize)
	x.try(unix.Ftruncate(int(f.Fd()), int64(size)))
	x.grow(size)
	clear(x.model[min(size, len(x.model)):])
	x.model = x.model[:size]
}

// grow makes the model at least so long.
func (x *fsx) grow(size int) {
	if missing := size - len(x.model); missing > 0 {
		x.model = append(x.model, make([]byte, missing)...)
	}
}

func (x *fsx) writeAt(f *os.File) {
	off := x.rnd.IntN(fsxSize - 20_000)
	data := bytes.Repeat([]byte{byte(x.rnd.IntN(256))}, 1+x.rnd.IntN(20_000))
	_, err := f.WriteAt(data, int64(off))
	x.try(err)
	x.grow(off + len(data))
	copy(x.model[off:], data)
}

func (x *fsx) readAt(f *os.File) {
	off := x.rnd.IntN(fsxSize)
	got := make([]byte, 1+x.rnd.IntN(20_000))
	n, err := unix.Pread(int(f.Fd()), got, int64(off))
	x.try(err)
	want := x.model[min(off, len(x.model)):min(off+len(got), len(x.model))]
	if !bytes.Equal(got[:n], want) {
		x.Errorf("read of %d bytes at %d: got %d bytes that differ from the %d wanted", len(got), off, n, len(want))
	}
}
