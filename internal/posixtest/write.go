package posixtest

import (
	"bytes"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const gib = 1 << 30

func writeCases() []testCase {
	return []testCase{
		{name: "read-back", run: func(p *place) {
			for _, size := range []int{0, 1, 511, 4095, 4096, 4097, 65_537, 1_500_001} {
				want := pattern(size)
				p.file("f", want)
				p.content("f", want)
				same(p, "size", p.lstat("f").size, int64(size))
			}
		}},
		{name: "large", run: func(p *place) {
			want := pattern(8 << 20)
			p.file("f", want)
			p.try(p.open("f", unix.O_RDWR, 0).Sync())
			p.content("f", want)
		}},
		{name: "odd-offsets", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			for _, off := range []int64{99_999, 4095, 1, 65_535, 32_767} {
				_, err := f.WriteAt([]byte("abc"), off)
				p.try(err)
			}
			want := make([]byte, 100_002)
			for _, off := range []int64{99_999, 4095, 1, 65_535, 32_767} {
				copy(want[off:], "abc")
			}
			p.content("f", string(want))
		}},
		{name: "overwrite-the-middle", run: func(p *place) {
			p.file("f", strings.Repeat("a", 10_000))
			_, err := p.open("f", unix.O_WRONLY, 0).WriteAt([]byte("bb"), 4095)
			p.try(err)
			p.content("f", strings.Repeat("a", 4095)+"bb"+strings.Repeat("a", 10_000-4097))
		}},
		{name: "write-only-partial-page", run: func(p *place) {
			// The client may have to read what surrounds the bytes.
			p.file("f", strings.Repeat("a", 4096))
			f := p.open("f", unix.O_WRONLY, 0)
			for off := int64(10); off < 4096; off += 1000 {
				_, err := f.WriteAt([]byte("b"), off)
				p.try(err)
			}
			p.close(f)
			want := bytes.Repeat([]byte("a"), 4096)
			for off := 10; off < 4096; off += 1000 {
				want[off] = 'b'
			}
			p.content("f", string(want))
		}},
		{name: "beyond-the-end", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.write(f, "start")
			_, err := f.WriteAt([]byte("end"), 70_000)
			p.try(err)
			p.content("f", "start"+strings.Repeat("\x00", 70_000-5)+"end")
		}},
		{name: "seek-beyond-the-end", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			off, err := f.Seek(1000, io.SeekEnd)
			p.try(err)
			same(p, "offset", off, 1000)
			same(p, "size", p.fstat(f).size, 0)
			p.write(f, "x")
			same(p, "size", p.fstat(f).size, 1001)
		}},
		{name: "seek-negative", run: func(p *place) {
			_, err := p.open("f", createRW, 0o644).Seek(-1, io.SeekStart)
			p.refused("seek", err, unix.EINVAL)
		}},
		{name: "nothing", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			n, err := unix.Pwrite(int(f.Fd()), nil, 1000)
			p.try(err)
			same(p, "written", n, 0)
			same(p, "size", p.fstat(f).size, 0)
		}},
		{name: "read-at-and-behind-the-end", run: func(p *place) {
			p.file("f", "12345")
			fd := int(p.open("f", unix.O_RDONLY, 0).Fd())
			for _, tt := range []struct {
				off  int64
				want int
			}{{0, 5}, {3, 2}, {5, 0}, {6, 0}, {100_000, 0}} {
				n, err := unix.Pread(fd, make([]byte, 100), tt.off)
				p.try(err)
				same(p, "read", n, tt.want)
			}
		}},
		{name: "negative-offset", run: func(p *place) {
			fd := int(p.open("f", createRW, 0o644).Fd())
			_, err := unix.Pread(fd, make([]byte, 1), -1)
			p.refused("pread", err, unix.EINVAL)
			_, err = unix.Pwrite(fd, make([]byte, 1), -1)
			p.refused("pwrite", err, unix.EINVAL)
		}},
		{name: "at-4-gib", run: func(p *place) { farOffset(p, 4*gib-2) }},
		{name: "at-5-gib", run: func(p *place) { farOffset(p, 5*gib+1) }},
		{name: "at-100-gib", run: func(p *place) { farOffset(p, 100*gib) }},
		{name: "sync", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.write(f, pattern(300_000))
			p.try(f.Sync())
			p.try(f.Sync())
			p.content("f", pattern(300_000))
		}},
		{name: "sync-read-only-descriptor", run: func(p *place) {
			p.file("f", "x")
			p.try(p.open("f", unix.O_RDONLY, 0).Sync())
		}},
		{name: "sync-directory", run: func(p *place) {
			p.file("f", "x")
			p.try(unix.Fsync(p.dirfd("")))
		}},
		{name: "o-sync", run: func(p *place) {
			f := p.open("f", createRW|unix.O_SYNC, 0o644)
			for range 3 {
				p.write(f, pattern(5000))
			}
			p.content("f", strings.Repeat(pattern(5000), 3))
		}},
		{name: "small-writes", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			for range 3000 {
				p.write(f, "seven c")
			}
			p.content("f", strings.Repeat("seven c", 3000))
		}},
		{name: "data-uses-blocks", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.write(f, pattern(1<<20))
			p.try(f.Sync())
			if got := p.lstat("f").blocks; got < 1<<11 {
				p.Errorf("blocks of a file of 1 MiB: got %d, want %d or more", got, 1<<11)
			}
		}},
	}
}

// pattern returns bytes in which each block of four differs from the others.
func pattern(size int) string {
	b := make([]byte, size)
	for i := range b {
		n := uint32(i/4)*2654435761 + 12345
		b[i] = byte(n >> (8 * (i % 4)))
	}
	return string(b)
}

// farOffset writes and reads a few bytes at an offset that 32 bits cannot hold.
func farOffset(p *place, off int64) {
	f := p.open("f", createRW, 0o644)
	_, err := f.WriteAt([]byte("far away"), off)
	p.try(err)
	p.try(f.Sync())
	same(p, "size", p.lstat("f").size, off+8)
	p.close(f)
	f = p.open("f", unix.O_RDONLY, 0)
	buf := make([]byte, 12)
	_, err = f.ReadAt(buf, off-4)
	p.try(err)
	same(p, "read", string(buf), "\x00\x00\x00\x00far away")
	_, err = f.ReadAt(buf, off%(4*gib))
	if off%(4*gib) < off-12 {
		p.try(err)
		same(p, "read 4 GiB before", string(buf), strings.Repeat("\x00", 12))
	}
	p.try(os.Truncate(p.path("f"), off+3))
	same(p, "size after truncate", p.lstat("f").size, off+3)
}
