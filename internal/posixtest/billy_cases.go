package posixtest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
)

func billyFileCases() []billyCase {
	return []billyCase{
		{"create", func(p *billyPlace) {
			f, err := p.fs.Create(p.path("f"))
			p.try(err)
			p.write(f, "text")
			_, err = f.Seek(0, io.SeekStart)
			p.try(err)
			got, err := io.ReadAll(f)
			p.try(err)
			p.same("content", string(got), "text")
			p.try(f.Close())
			p.same("regular", p.lstat("f").Mode().IsRegular(), true)
		}},
		{"create-truncates", func(p *billyPlace) {
			p.file("f", "long text")
			f, err := p.fs.Create(p.path("f"))
			p.try(err)
			p.try(f.Close())
			p.content("f", "")
		}},
		{"exclusive", func(p *billyPlace) {
			p.try(p.openErr("f", os.O_CREATE|os.O_EXCL|os.O_WRONLY))
			p.refused("again", p.openErr("f", os.O_CREATE|os.O_EXCL|os.O_WRONLY), fs.ErrExist)
		}},
		{"create-0444-then-write", func(p *billyPlace) {
			f := p.open("f", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
			p.write(f, pattern(100_000))
			p.try(f.Close())
			p.content("f", pattern(100_000))
			p.same("mode", p.lstat("f").Mode(), fs.FileMode(0o444))
		}},
		{"append", func(p *billyPlace) {
			for i := range 3 {
				f := p.open("f", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
				p.write(f, fmt.Sprint(i))
				p.try(f.Close())
			}
			p.content("f", "012")
		}},
		{"read-back", func(p *billyPlace) {
			for _, size := range []int{0, 1, 4096, 65_537, 1_500_001} {
				p.file("f", pattern(size))
				p.content("f", pattern(size))
				p.same("size", p.lstat("f").Size(), int64(size))
			}
		}},
		{"read-at", func(p *billyPlace) {
			p.file("f", "0123456789")
			f := p.open("f", os.O_RDONLY, 0)
			buf := make([]byte, 4)
			n, err := f.ReadAt(buf, 3)
			p.try(err)
			p.same("read", string(buf[:n]), "3456")
			n, err = f.ReadAt(buf, 8)
			p.refused("read at the end", err, io.EOF)
			p.same("read", string(buf[:n]), "89")
		}},
		{"seek-and-write", func(p *billyPlace) {
			f := p.open("f", os.O_CREATE|os.O_RDWR, 0o644)
			p.write(f, "start")
			_, err := f.Seek(70_000, io.SeekStart)
			p.try(err)
			p.write(f, "end")
			off, err := f.Seek(-3, io.SeekEnd)
			p.try(err)
			p.same("offset", off, int64(70_000))
			p.try(f.Close())
			p.content("f", "start"+strings.Repeat("\x00", 70_000-5)+"end")
		}},
		{"truncate", func(p *billyPlace) {
			f := p.open("f", os.O_CREATE|os.O_RDWR, 0o644)
			p.write(f, "0123456789")
			p.try(f.Truncate(4))
			p.try(f.Truncate(6))
			p.try(f.Close())
			p.content("f", "0123\x00\x00")
		}},
		{"remove-while-open", func(p *billyPlace) {
			f := p.open("f", os.O_CREATE|os.O_RDWR, 0o644)
			p.write(f, "before")
			p.try(p.fs.Remove(p.path("f")))
			p.gone("f")
			p.write(f, "after")
			buf := make([]byte, 11)
			_, err := f.ReadAt(buf, 0)
			p.try(err)
			p.same("content", string(buf), "beforeafter")
		}},
		{"rename-while-open", func(p *billyPlace) {
			f := p.open("f", os.O_CREATE|os.O_RDWR, 0o644)
			p.rename("f", "g")
			p.write(f, "x")
			p.try(f.Close())
			p.content("g", "x")
		}},
		{"temp-file", func(p *billyPlace) {
			names := map[string]bool{}
			for range 20 {
				f, err := p.fs.TempFile(p.dir, "tmp")
				p.try(err)
				p.write(f, "x")
				p.try(f.Close())
				names[f.Name()] = true
			}
			p.same("different names", len(names), 20)
			list, err := p.fs.ReadDir(p.dir)
			p.try(err)
			p.same("entries", len(list), 20)
		}},
		{"concurrent-exclusive", func(p *billyPlace) {
			for i := range 20 {
				p.oneWins(func() error { return p.openErr(fmt.Sprint(i), os.O_CREATE|os.O_EXCL|os.O_WRONLY) })
			}
		}},
	}
}

func billyNameCases() []billyCase {
	cases := []billyCase{
		{"missing", func(p *billyPlace) {
			_, err := p.fs.Stat(p.path("none"))
			p.refused("stat", err, fs.ErrNotExist)
			p.refused("open", p.openErr("none", os.O_RDONLY), fs.ErrNotExist)
			p.refused("remove", p.fs.Remove(p.path("none")), fs.ErrNotExist)
			p.refused("rename", p.fs.Rename(p.path("none"), p.path("x")), fs.ErrNotExist)
			_, err = p.fs.ReadDir(p.path("none"))
			p.refused("list", err, fs.ErrNotExist)
			_, err = p.fs.Readlink(p.path("none"))
			p.refused("readlink", err, fs.ErrNotExist)
		}},
		{"below-a-file", func(p *billyPlace) {
			p.file("f", "x")
			p.refused("open", p.openErr("f/x", os.O_RDONLY), syscall.ENOTDIR)
			p.refused("mkdir", p.fs.MkdirAll(p.path("f/x"), 0o755), syscall.ENOTDIR)
		}},
		{"rename-over", func(p *billyPlace) {
			p.file("a", "new")
			p.file("b", "old")
			p.rename("a", "b")
			p.content("b", "new")
			p.entries("", "b")
		}},
		{"rename-directory", func(p *billyPlace) {
			p.mkdir("d/sub")
			p.file("d/sub/f", "x")
			p.rename("d", "e")
			p.content("e/sub/f", "x")
			p.gone("d")
		}},
		{"rename-over-full-directory", func(p *billyPlace) {
			p.mkdir("a")
			p.mkdir("b/sub")
			if err := p.fs.Rename(p.path("a"), p.path("b")); !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, fs.ErrExist) {
				p.Errorf("got %v, want ENOTEMPTY or EEXIST", err)
			}
			p.entries("b", "sub")
		}},
		{"remove-directory", func(p *billyPlace) {
			p.mkdir("d/sub")
			p.refused("full", p.fs.Remove(p.path("d")), syscall.ENOTEMPTY)
			p.try(p.fs.Remove(p.path("d/sub")))
			p.try(p.fs.Remove(p.path("d")))
			p.entries("")
		}},
		{"mkdir-all", func(p *billyPlace) {
			p.mkdir("a/b/c")
			p.mkdir("a/b/c")
			p.same("directory", p.lstat("a/b/c").IsDir(), true)
			p.file("f", "x")
			p.refused("over a file", p.fs.MkdirAll(p.path("f"), 0o755), syscall.ENOTDIR)
		}},
		{"symlink", func(p *billyPlace) {
			for i, target := range []string{"f", "../x", "none", strings.Repeat("x", 1000)} {
				name := fmt.Sprint("s", i)
				p.symlink(target, name)
				got, err := p.fs.Readlink(p.path(name))
				p.try(err)
				p.same("target", got, target)
				p.same("type", p.lstat(name).Mode().Type(), fs.ModeSymlink)
			}
			p.refused("exists", p.fs.Symlink("x", p.path("s0")), fs.ErrExist)
		}},
		{"symlink-follow", func(p *billyPlace) {
			p.mkdir("d")
			p.file("d/f", "x")
			p.symlink("d", "s")
			p.symlink("d/f", "t")
			p.content("s/f", "x")
			p.content("t", "x")
			fi, err := p.fs.Stat(p.path("t"))
			p.try(err)
			p.same("regular", fi.Mode().IsRegular(), true)
			p.try(p.fs.Remove(p.path("t")))
			p.content("d/f", "x")
		}},
		{"symlink-dangling", func(p *billyPlace) {
			p.symlink("none", "s")
			_, err := p.fs.Stat(p.path("s"))
			p.refused("stat", err, fs.ErrNotExist)
			p.try(p.fs.Remove(p.path("s")))
			p.gone("s")
		}},
		{"rename-symlink", func(p *billyPlace) {
			p.mkdir("d")
			p.symlink("d", "s")
			p.rename("s", "t")
			p.entries("", "d", "t")
			p.same("type", p.lstat("t").Mode().Type(), fs.ModeSymlink)
		}},
		{"read-dir", func(p *billyPlace) {
			p.entries("")
			var names []string
			for i := range 500 {
				names = append(names, fmt.Sprint(i))
				p.file(names[i], "x")
			}
			p.entries("", names...)
		}},
		{"read-dir-types", func(p *billyPlace) {
			p.mkdir("d")
			p.file("f", "four")
			p.symlink("none", "s")
			list, err := p.fs.ReadDir(p.dir)
			p.try(err)
			for _, fi := range list {
				want := p.lstat(fi.Name())
				p.same("mode of "+fi.Name(), fi.Mode(), want.Mode())
				p.same("mtime of "+fi.Name(), fi.ModTime().Equal(want.ModTime()), true)
			}
		}},
		{"chroot", func(p *billyPlace) {
			p.mkdir("d")
			sub, err := p.fs.Chroot(p.path("d"))
			p.try(err)
			f, err := sub.Create("f")
			p.try(err)
			p.try(f.Close())
			p.entries("d", "f")
		}},
		{"name-too-long", func(p *billyPlace) {
			p.refused("open", p.openErr(strings.Repeat("n", 256), os.O_CREATE|os.O_WRONLY), syscall.ENAMETOOLONG)
			p.file(strings.Repeat("n", 255), "x")
			p.content(strings.Repeat("n", 255), "x")
		}},
	}
	for kind, names := range oddNames() {
		cases = append(cases, billyCase{"names-" + kind, func(p *billyPlace) { billyKeepsNames(p, names) }})
	}
	return cases
}

// billyKeepsNames makes, reads, lists and removes files of the names.
func billyKeepsNames(p *billyPlace, names []string) {
	for _, name := range names {
		p.file(name, "content of "+name)
	}
	p.entries("", names...)
	for _, name := range names {
		p.content(name, "content of "+name)
		p.try(p.fs.Remove(p.path(name)))
	}
	p.entries("")
}

// oneWins checks that one of the parallel calls makes a name.
func (p *billyPlace) oneWins(do func() error) {
	p.Helper()
	errs := make([]error, parallel)
	var wg sync.WaitGroup
	for w := range parallel {
		wg.Go(func() { errs[w] = do() })
	}
	wg.Wait()
	winners := 0
	for _, err := range errs {
		if err == nil {
			winners++
			continue
		}
		p.refused("call that came too late", err, fs.ErrExist)
	}
	p.same("calls that succeeded", winners, 1)
}
