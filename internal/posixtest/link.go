package posixtest

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func linkCases(f Facts) []testCase {
	cases := []testCase{
		{name: "two-names-one-file", run: func(p *place) {
			p.file("a", "x")
			p.link("a", "b")
			a, b := p.lstat("a"), p.lstat("b")
			same(p, "inode", b.ino, a.ino)
			same(p, "nlink of a", a.nlink, 2)
			same(p, "nlink of b", b.nlink, 2)
			p.file("b", "changed")
			p.content("a", "changed")
		}},
		{name: "count-goes-up-and-down", run: func(p *place) {
			p.file("f", "x")
			ino := p.lstat("f").ino
			for i := range uint64(20) {
				p.link("f", fmt.Sprint(i))
				p.nlink("f", i+2)
				same(p, "inode", p.lstat(fmt.Sprint(i)).ino, ino)
			}
			p.unlink("f")
			for i := range uint64(20) {
				p.nlink(fmt.Sprint(i), 20-i)
				p.unlink(fmt.Sprint(i))
			}
		}},
		{name: "other-directory", run: func(p *place) {
			p.mkdir("a", "b")
			p.file("a/f", "x")
			p.link("a/f", "b/g")
			p.unlink("a/f")
			p.content("b/g", "x")
			p.nlink("b/g", 1)
		}},
		{name: "read-only-file", run: func(p *place) {
			// What nix-store --optimise does.
			p.file("a", "x")
			p.chmod("a", 0o444)
			p.mkdir(".links")
			p.link("a", ".links/hash")
			p.link(".links/hash", "tmp")
			p.rename("tmp", "b")
			p.nlink("a", 3)
			p.perm("b", 0o444)
		}},
		{name: "mode-and-times-are-shared", run: func(p *place) {
			p.file("a", "x")
			p.link("a", "b")
			p.chmod("a", 0o600)
			p.perm("b", 0o600)
			p.utimes("b", 1, 1, 0)
			same(p, "mtime", p.lstat("a").mtime.Unix(), 1)
		}},
		{name: "open-file", run: func(p *place) {
			f := p.open("a", createRW, 0o644)
			p.link("a", "b")
			same(p, "nlink", p.fstat(f).nlink, 2)
			p.unlink("a")
			p.write(f, "x")
			p.content("b", "x")
		}},
		{name: "count-without-the-name-of-an-open-file", run: func(p *place) {
			p.file("a", "x")
			p.link("a", "b")
			f := p.open("a", unix.O_RDWR, 0)
			p.unlink("a")
			same(p, "fstat", p.fstat(f).nlink, 1)
			p.nlink("b", 1)
			p.close(f)
			p.nlink("b", 1)
		}},
		{name: "exists", run: func(p *place) {
			p.file("a", "x")
			p.file("b", "y")
			p.mkdir("d")
			p.symlink("none", "s")
			for _, name := range []string{"a", "b", "d", "s"} {
				p.refused(name, os.Link(p.path("a"), p.path(name)), unix.EEXIST)
			}
			p.nlink("a", 1)
		}},
		{name: "missing", run: func(p *place) {
			p.refused("from", unix.Link(p.path("none"), p.path("x")), unix.ENOENT)
			p.file("f", "x")
			p.refused("to", unix.Link(p.path("f"), p.path("none/x")), unix.ENOENT)
			p.refused("below a file", unix.Link(p.path("f"), p.path("f/x")), unix.ENOTDIR)
			p.refused("long", unix.Link(p.path("f"), p.path(strings.Repeat("n", 256))), unix.ENAMETOOLONG)
		}},
		{name: "directory", run: func(p *place) {
			p.mkdir("d")
			p.refused("link", unix.Link(p.path("d"), p.path("e")), unix.EPERM)
		}},
		{name: "fifo", run: func(p *place) {
			p.try(unix.Mkfifo(p.path("a"), 0o644))
			p.link("a", "b")
			p.nlink("b", 2)
		}},
		{name: "through-symlink", run: func(p *place) {
			p.file("f", "x")
			p.symlink("f", "s")
			err := unix.Linkat(unix.AT_FDCWD, p.path("s"), unix.AT_FDCWD, p.path("g"), unix.AT_SYMLINK_FOLLOW)
			p.try(err)
			same(p, "inode", p.lstat("g").ino, p.lstat("f").ino)
		}},
		{name: "inode-survives-everything", run: func(p *place) {
			p.file("f", "x")
			ino := p.lstat("f").ino
			p.link("f", "g")
			p.rename("f", "h")
			p.chmod("h", 0o400)
			p.chmod("h", 0o600)
			p.file("h", "y")
			p.utimes("h", 5, 5, 0)
			p.unlink("g")
			p.try(os.Truncate(p.path("h"), 0))
			same(p, "inode", p.lstat("h").ino, ino)
		}},
	}
	if !f.NoSymlinkLinks {
		cases = append(cases, symlinkLinkCases()...)
	}
	return cases
}

func symlinkLinkCases() []testCase {
	return []testCase{
		{name: "symlink", run: func(p *place) {
			p.file("f", "x")
			p.symlink("f", "s")
			p.linkNoFollow("s", "s2")
			p.target("s2", "f")
			same(p, "inode", p.lstat("s2").ino, p.lstat("s").ino)
			p.nlink("s", 2)
			p.nlink("f", 1)
		}},
		{name: "dangling-symlink", run: func(p *place) {
			p.symlink("none", "s")
			p.linkNoFollow("s", "s2")
			p.unlink("s")
			p.target("s2", "none")
			p.nlink("s2", 1)
		}},
	}
}

// linkNoFollow makes a second name for a symlink.
func (p *place) linkNoFollow(from, to string) {
	p.Helper()
	p.try(unix.Linkat(unix.AT_FDCWD, p.path(from), unix.AT_FDCWD, p.path(to), 0))
}
