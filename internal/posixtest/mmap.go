package posixtest

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func mmapCases(f Facts) []testCase {
	cases := []testCase{
		{name: "read", run: func(p *place) {
			p.file("f", pattern(100_000))
			m := p.mmap(p.open("f", unix.O_RDONLY, 0), 100_000, unix.PROT_READ, unix.MAP_SHARED)
			same(p, "equal", string(m) == pattern(100_000), true)
		}},
		{name: "private", run: func(p *place) {
			p.file("f", pattern(10_000))
			f := p.open("f", unix.O_RDONLY, 0)
			m := p.mmap(f, 10_000, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
			clear(m)
			p.content("f", pattern(10_000))
		}},
		{name: "keeps-an-unlinked-file", run: func(p *place) {
			p.file("f", pattern(200_000))
			f := p.open("f", unix.O_RDONLY, 0)
			m := p.mmap(f, 200_000, unix.PROT_READ, unix.MAP_PRIVATE)
			p.close(f)
			p.unlink("f")
			same(p, "equal", string(m) == pattern(200_000), true)
		}},
		{name: "keeps-a-replaced-file", run: func(p *place) {
			p.file("f", pattern(50_000))
			m := p.mmap(p.open("f", unix.O_RDONLY, 0), 50_000, unix.PROT_READ, unix.MAP_PRIVATE)
			p.file("new", "short")
			p.rename("new", "f")
			same(p, "equal", string(m) == pattern(50_000), true)
			p.content("f", "short")
		}},
	}
	if f.NoSharedMmap {
		return cases
	}
	return append(cases, sharedMmapCases()...)
}

func sharedMmapCases() []testCase {
	const writable = unix.PROT_READ | unix.PROT_WRITE
	return []testCase{
		{name: "shared-write", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.try(f.Truncate(1 << 20))
			copy(p.mmap(f, 1<<20, writable, unix.MAP_SHARED), pattern(1<<20))
			p.try(f.Sync())
			p.content("f", pattern(1<<20))
		}},
		{name: "shared-write-and-msync", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.try(f.Truncate(8192))
			m := p.mmap(f, 8192, writable, unix.MAP_SHARED)
			copy(m[4090:], "over the edge")
			p.try(unix.Msync(m, unix.MS_SYNC))
			p.content("f", strings.Repeat("\x00", 4090)+"over the edge"+strings.Repeat("\x00", 8192-4103))
		}},
		{name: "sees-write", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.try(f.Truncate(4096))
			m := p.mmap(f, 4096, writable, unix.MAP_SHARED)
			_, err := f.WriteAt([]byte("written"), 100)
			p.try(err)
			same(p, "mapping", string(m[100:107]), "written")
			copy(m[200:], "mapped")
			buf := make([]byte, 6)
			_, err = f.ReadAt(buf, 200)
			p.try(err)
			same(p, "read", string(buf), "mapped")
		}},
		{name: "outlives-the-descriptor", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.try(f.Truncate(4096))
			m := p.mmap(f, 4096, writable, unix.MAP_SHARED)
			p.close(f)
			copy(m, "late")
			p.try(unix.Msync(m, unix.MS_SYNC))
			p.content("f", "late"+strings.Repeat("\x00", 4092))
		}},
	}
}

// mmap maps the beginning of a file until the end of the case.
func (p *place) mmap(f *os.File, size, prot, flags int) []byte {
	p.Helper()
	m, err := unix.Mmap(int(f.Fd()), 0, size, prot, flags)
	p.try(err)
	p.Cleanup(func() { p.try(unix.Munmap(m)) })
	return m
}
