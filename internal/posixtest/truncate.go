package posixtest

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func truncateCases() []testCase {
	return []testCase{
		{name: "down", run: func(p *place) {
			p.file("f", pattern(10_000))
			for _, size := range []int{9999, 8192, 4097, 100, 1, 0} {
				p.try(os.Truncate(p.path("f"), int64(size)))
				p.content("f", pattern(size))
			}
		}},
		{name: "up", run: func(p *place) {
			p.file("f", "abc")
			for _, size := range []int{4, 4096, 70_001} {
				p.try(os.Truncate(p.path("f"), int64(size)))
				p.content("f", "abc"+strings.Repeat("\x00", size-3))
			}
		}},
		{name: "down-and-up-forgets", run: func(p *place) {
			p.file("f", strings.Repeat("a", 9000))
			p.try(os.Truncate(p.path("f"), 5000))
			p.try(os.Truncate(p.path("f"), 9000))
			p.content("f", strings.Repeat("a", 5000)+strings.Repeat("\x00", 4000))
		}},
		{name: "down-and-write-behind-forgets", run: func(p *place) {
			p.file("f", strings.Repeat("a", 9000))
			f := p.open("f", unix.O_RDWR, 0)
			p.try(f.Truncate(100))
			_, err := f.WriteAt([]byte("b"), 5000)
			p.try(err)
			p.content("f", strings.Repeat("a", 100)+strings.Repeat("\x00", 4900)+"b")
		}},
		{name: "same-size", run: func(p *place) {
			p.file("f", pattern(5000))
			p.try(os.Truncate(p.path("f"), 5000))
			p.content("f", pattern(5000))
		}},
		{name: "unsynced-writes", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			for i := range 10 {
				p.write(f, pattern(10_000))
				p.try(f.Truncate(int64(i)))
				_, err := f.Seek(0, 0)
				p.try(err)
			}
			p.content("f", pattern(9))
		}},
		{name: "sparse", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.try(f.Truncate(3 * gib))
			st := p.fstat(f)
			same(p, "size", st.size, 3*gib)
			if st.blocks > 1<<11 {
				p.Errorf("blocks of an empty file: got %d, want a few", st.blocks)
			}
			buf := []byte("12345678")
			_, err := f.ReadAt(buf, 2*gib)
			p.try(err)
			same(p, "hole", string(buf), strings.Repeat("\x00", 8))
		}},
		{name: "keeps-the-offset", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.write(f, "123456")
			p.try(f.Truncate(2))
			p.write(f, "x")
			p.content("f", "12\x00\x00\x00\x00x")
		}},
		{name: "read-only-descriptor", run: func(p *place) {
			p.file("f", "x")
			err := unix.Ftruncate(int(p.open("f", unix.O_RDONLY, 0).Fd()), 0)
			p.refused("ftruncate", err, unix.EINVAL, unix.EBADF)
			p.content("f", "x")
		}},
		{name: "open-file-of-mode-0444", run: func(p *place) {
			f := p.open("f", createNew, 0o444)
			p.write(f, "123456")
			p.try(f.Truncate(3))
			p.try(f.Truncate(5))
			p.close(f)
			same(p, "size", p.lstat("f").size, 5)
		}},
		{name: "through-symlink", run: func(p *place) {
			p.file("f", "123456")
			p.symlink("f", "s")
			p.try(os.Truncate(p.path("s"), 3))
			p.content("f", "123")
		}},
		{name: "file-without-write-permission", who: onlyUser, run: func(p *place) {
			p.file("f", "123456")
			p.chmod("f", 0o444)
			p.refused("truncate", unix.Truncate(p.path("f"), 0), unix.EACCES)
			p.content("f", "123456")
		}},
		{name: "negative", run: func(p *place) {
			p.file("f", "x")
			p.refused("truncate", unix.Truncate(p.path("f"), -1), unix.EINVAL)
		}},
		{name: "directory", run: func(p *place) {
			p.mkdir("d")
			p.refused("truncate", unix.Truncate(p.path("d"), 0), unix.EISDIR)
		}},
	}
}
