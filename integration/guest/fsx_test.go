//go:build linux

package guest

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var fsxSteps = flag.Int("fsx", 60_000, "random operations that TestOverFsx does")

const (
	fsxSize     = 128 << 10 // of the file, at most
	fsxLength   = 12 << 10  // of one operation, at most
	fsxPerFile  = 2000      // operations
	fsxReading  = 200       // of these at most are at first, while a lower file is not copied up
	fsxFlushes  = 60        // operations of which one makes the client forget the file, and one closes it
	fsxRestarts = 25        // files until the server is killed once
)

// TestOverFsx makes random changes to files of the upper layer and of both lower
// ones, with calls and through mappings, and compares what it reads with a model in memory.
// A descriptor and a mapping from before the copy-up go on to be read. At the end of a file
// the layers themselves are looked at.
func TestOverFsx(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	files := (*fsxSteps + fsxPerFile - 1) / fsxPerFile
	l := layered(t, func(lowers []string) {
		for i := range files {
			if dir := fsxLower(lowers, i); dir != "" {
				try(t, os.WriteFile(filepath.Join(dir, fsxName(i)), fsxContents(seed, i), 0o644))
			}
		}
	})
	start := time.Now()
	for i := range files {
		if i%fsxRestarts == fsxRestarts-1 {
			Control(t, "restart")
		}
		fsxOne(t, l, seed, i)
	}
	t.Logf("%d operations on %d files in %.1f s", files*fsxPerFile, files, time.Since(start).Seconds())
}

func fsxName(i int) string { return fmt.Sprintf("f%d", i) }

// fsxLower is the layer in which file i lies: each third has none.
func fsxLower(lowers []string, i int) string {
	if k := i % (len(lowers) + 1); k > 0 {
		return lowers[k-1]
	}
	return ""
}

func fsxContents(seed uint64, i int) []byte {
	rnd := rand.New(rand.NewPCG(seed, uint64(i)))
	b := make([]byte, rnd.IntN(fsxSize))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// fsxOne takes one file through its life.
func fsxOne(t *testing.T, l layers, seed uint64, i int) {
	t.Helper()
	x := &fsx{T: t, path: filepath.Join(l.merged, fsxName(i)), rnd: rand.New(rand.NewPCG(seed, uint64(i)<<32))}
	lower := fsxLower(l.lowers, i)
	if lower != "" {
		x.model = fsxContents(seed, i)
	} else {
		try(t, os.MkdirAll(l.merged, 0o755))
	}
	x.begin()
	reading := x.rnd.IntN(fsxReading)
	for x.step = range fsxPerFile {
		x.do(x.step < reading)
		if t.Failed() {
			t.Fatalf("file %d of seed %d, lower %q; its last operations:\n%s", i, seed, lower, x.history())
		}
	}
	x.end()
	x.holds("the upper", filepath.Join(l.upper, fsxName(i)), x.model)
	if lower != "" {
		x.holds("the lower", filepath.Join(lower, fsxName(i)), fsxContents(seed, i))
	}
	try(t, os.Remove(x.path))
}

// An fsx makes random changes to a file and to a model of it.
type fsx struct {
	*testing.T
	path  string
	rnd   *rand.Rand
	model []byte

	files []*os.File
	early *os.File // opened for reading before the first change
	view  []byte   // a mapping as old
	buf   [fsxLength]byte
	step  int
	log   [20]string
}

func (x *fsx) begin() {
	for range 2 {
		x.files = append(x.files, x.open())
	}
	var err error
	x.early, err = os.Open(x.path)
	try(x, err)
	if len(x.model) > 0 {
		x.view, err = unix.Mmap(int(x.early.Fd()), 0, len(x.model), unix.PROT_READ, unix.MAP_SHARED)
		try(x, err)
	}
}

func (x *fsx) open() *os.File {
	f, err := os.OpenFile(x.path, os.O_RDWR|os.O_CREATE, 0o644)
	try(x, err)
	return f
}

// end compares the whole file, by all that is open and anew, and closes it.
func (x *fsx) end() {
	x.compare("the old mapping", x.view[:min(len(x.view), len(x.model))], x.model[:min(len(x.view), len(x.model))])
	if x.view != nil {
		try(x, unix.Munmap(x.view))
	}
	for _, f := range append(x.files, x.early) {
		got, err := io.ReadAll(io.NewSectionReader(f, 0, fsxSize+1))
		try(x, err)
		x.compare("a descriptor", got, x.model)
		try(x, f.Close())
	}
	x.holds("the mount", x.path, x.model)
}

func (x *fsx) holds(where, path string, want []byte) {
	got, err := os.ReadFile(path)
	try(x, err)
	x.compare(where, got, want)
}

func (x *fsx) compare(what string, got, want []byte) {
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	x.Errorf("%s: got %d bytes, want %d; the first that differs is at %d", what, len(got), len(want), at)
}

// note keeps what an operation is for a failure's message.
func (x *fsx) note(format string, args ...any) {
	x.log[x.step%len(x.log)] = fmt.Sprintf("%d: "+format, append([]any{x.step}, args...)...)
}

func (x *fsx) history() (text string) {
	for i := range x.log {
		text += x.log[(x.step+1+i)%len(x.log)] + "\n"
	}
	return text
}

// do does one operation: while reading, one that changes nothing.
func (x *fsx) do(reading bool) {
	i := x.rnd.IntN(len(x.files))
	f := x.files[i]
	operations := []func(*os.File){x.read, x.read, x.mapRead, x.mapRead, x.readView, x.stat}
	if !reading {
		operations = append(operations, x.write, x.write, x.write, x.mapWrite, x.mapWrite, x.truncate)
	}
	switch x.rnd.IntN(fsxFlushes) {
	case 0:
		x.drop(f)
	case 1:
		x.note("close and open")
		try(x, f.Close())
		x.files[i] = x.open()
	default:
		operations[x.rnd.IntN(len(operations))](f)
	}
}

// span is some part of the file; empty where the file is.
func (x *fsx) span() (off, n int) {
	if len(x.model) == 0 {
		return 0, 0
	}
	off = x.rnd.IntN(len(x.model))
	return off, 1 + x.rnd.IntN(min(len(x.model)-off, fsxLength))
}

func (x *fsx) read(f *os.File) {
	if x.rnd.IntN(4) == 0 {
		f = x.early
	}
	off, n := x.rnd.IntN(fsxSize), 1+x.rnd.IntN(fsxLength)
	x.note("read %d at %d of %d", n, off, len(x.model))
	got, err := unix.Pread(int(f.Fd()), x.buf[:n], int64(off))
	try(x, err)
	x.compare("read", x.buf[:got], x.model[min(off, len(x.model)):min(off+n, len(x.model))])
}

// mapped calls g with a mapping of a part of the file.
func (x *fsx) mapped(f *os.File, off, n, prot int, g func([]byte)) {
	if n == 0 {
		return
	}
	head := off % os.Getpagesize()
	m, err := unix.Mmap(int(f.Fd()), int64(off-head), head+n, prot, unix.MAP_SHARED)
	try(x, err)
	g(m[head:])
	try(x, unix.Munmap(m))
}

func (x *fsx) mapRead(f *os.File) {
	off, n := x.span()
	x.note("read %d at %d of %d, mapped", n, off, len(x.model))
	x.mapped(f, off, n, unix.PROT_READ, func(m []byte) { x.compare("mapping", m, x.model[off:off+n]) })
}

// readView reads the mapping from before the first change. Of a file that was cut, what
// is behind its end may not be touched.
func (x *fsx) readView(*os.File) {
	off, n := x.span()
	n = min(n, len(x.view)-off)
	x.note("read %d at %d of %d in the old mapping", n, off, len(x.model))
	if n > 0 {
		x.compare("old mapping", x.view[off:off+n], x.model[off:off+n])
	}
}

func (x *fsx) stat(f *os.File) {
	fi, err := f.Stat()
	try(x, err)
	if fi.Size() != int64(len(x.model)) {
		x.Errorf("size: got %d, want %d", fi.Size(), len(x.model))
	}
}

// drop puts the file on the server's disk and has the client forget it.
func (x *fsx) drop(f *os.File) {
	x.note("sync and forget")
	try(x, f.Sync())
	try(x, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
}

func (x *fsx) write(f *os.File) {
	off, n := x.rnd.IntN(fsxSize-fsxLength), 1+x.rnd.IntN(fsxLength)
	x.note("write %d at %d of %d", n, off, len(x.model))
	_, err := f.WriteAt(x.random(n), int64(off))
	try(x, err)
	x.grow(off + n)
	copy(x.model[off:], x.buf[:n])
}

func (x *fsx) mapWrite(f *os.File) {
	off, n := x.span()
	x.note("write %d at %d of %d, mapped", n, off, len(x.model))
	x.mapped(f, off, n, unix.PROT_READ|unix.PROT_WRITE, func(m []byte) {
		copy(m, x.random(n))
		copy(x.model[off:], x.buf[:n])
		if x.rnd.IntN(8) == 0 {
			try(x, f.Sync())
		}
	})
}

func (x *fsx) truncate(f *os.File) {
	size := x.rnd.IntN(fsxSize)
	x.note("truncate %d to %d", len(x.model), size)
	try(x, f.Truncate(int64(size)))
	x.grow(size)
	x.model = x.model[:size]
}

// grow makes the model at least so long.
func (x *fsx) grow(size int) {
	if missing := size - len(x.model); missing > 0 {
		x.model = append(x.model, make([]byte, missing)...)
	}
}

// random fills the buffer: no two places of it are alike for long.
func (x *fsx) random(n int) []byte {
	v := x.rnd.Uint64()
	for i := 0; i < n; i += 8 {
		binary.NativeEndian.PutUint64(x.buf[i:], v)
		v = v*6364136223846793005 + 1442695040888963407
	}
	return x.buf[:n]
}
