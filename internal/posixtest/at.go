package posixtest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func atCases() []testCase {
	return []testCase{
		{name: "openat", run: func(p *place) {
			p.mkdir("d")
			fd, err := unix.Openat(p.dirfd("d"), "f", createNew|unix.O_NOFOLLOW, 0o444)
			p.try(err)
			f := os.NewFile(uintptr(fd), "f")
			p.write(f, "x")
			p.close(f)
			p.content("d/f", "x")
			p.perm("d/f", 0o444)
		}},
		{name: "mkdirat-and-below", run: func(p *place) {
			fd := p.dirfd("")
			for i := range 20 {
				name := fmt.Sprint(i)
				p.try(unix.Mkdirat(fd, name, 0o755))
				next, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
				p.try(err)
				p.Cleanup(func() { unix.Close(next) })
				fd = next
			}
			p.entries("0/1/2/3/4/5", "6")
		}},
		{name: "fstatat", run: func(p *place) {
			p.file("f", "x")
			p.symlink("f", "s")
			fd := p.dirfd("")
			var st unix.Stat_t
			p.try(unix.Fstatat(fd, "s", &st, unix.AT_SYMLINK_NOFOLLOW))
			same(p, "status", newStatus(&st), p.lstat("s"))
			p.try(unix.Fstatat(fd, "s", &st, 0))
			same(p, "status", newStatus(&st), p.lstat("f"))
		}},
		{name: "symlinkat-and-readlinkat", run: func(p *place) {
			fd := p.dirfd("")
			p.try(unix.Symlinkat("somewhere", fd, "s"))
			buf := make([]byte, 100)
			n, err := unix.Readlinkat(fd, "s", buf)
			p.try(err)
			same(p, "target", string(buf[:n]), "somewhere")
		}},
		{name: "renameat", run: func(p *place) {
			p.mkdir("a", "b")
			p.file("a/f", "x")
			p.try(unix.Renameat(p.dirfd("a"), "f", p.dirfd("b"), "g"))
			p.content("b/g", "x")
			p.entries("a")
		}},
		{name: "linkat", run: func(p *place) {
			p.mkdir("a", "b")
			p.file("a/f", "x")
			p.try(unix.Linkat(p.dirfd("a"), "f", p.dirfd("b"), "g", 0))
			p.nlink("b/g", 2)
		}},
		{name: "unlinkat", run: func(p *place) {
			p.mkdir("d")
			p.file("f", "x")
			fd := p.dirfd("")
			p.refused("d", unix.Unlinkat(fd, "d", 0), unix.EISDIR, unix.EPERM)
			p.refused("f", unix.Unlinkat(fd, "f", unix.AT_REMOVEDIR), unix.ENOTDIR)
			p.try(unix.Unlinkat(fd, "d", unix.AT_REMOVEDIR))
			p.try(unix.Unlinkat(fd, "f", 0))
			p.entries("")
		}},
		{name: "fchmodat", run: func(p *place) {
			p.file("f", "x")
			p.try(unix.Fchmodat(p.dirfd(""), "f", 0o400, 0))
			p.perm("f", 0o400)
		}},
		{name: "faccessat", run: func(p *place) {
			p.file("f", "x")
			p.try(unix.Faccessat(p.dirfd(""), "f", unix.R_OK, 0))
			p.refused("none", unix.Faccessat(p.dirfd(""), "none", unix.F_OK, 0), unix.ENOENT)
		}},
		{name: "fchownat", run: func(p *place) {
			p.symlink("none", "s")
			p.try(unix.Fchownat(p.dirfd(""), "s", os.Geteuid(), -1, unix.AT_SYMLINK_NOFOLLOW))
		}},
		{name: "utimensat", run: func(p *place) {
			p.file("f", "x")
			p.utimesAt(p.dirfd(""), "f", 1, 1, 0, unix.AT_SYMLINK_NOFOLLOW)
			p.mtime("f", 1, 0)
		}},
		{name: "after-the-directory-moved", run: func(p *place) {
			p.mkdir("a/d", "b")
			fd := p.dirfd("a/d")
			p.rename("a/d", "b/e")
			p.try(unix.Symlinkat("x", fd, "s"))
			p.target("b/e/s", "x")
			p.rename("b", "c")
			p.try(unix.Unlinkat(fd, "s", 0))
			p.entries("c/e")
		}},
		{name: "dirfd-is-a-file", run: func(p *place) {
			p.file("f", "x")
			fd := int(p.open("f", unix.O_RDONLY, 0).Fd())
			_, err := unix.Openat(fd, "x", unix.O_RDONLY, 0)
			p.refused("openat", err, unix.ENOTDIR)
		}},
		{name: "remove-a-tree-while-listing-it", run: func(p *place) {
			// How Nix deletes: unlinkat on what a readdir under way gives.
			p.mkdir("d/sub")
			for i := range 300 {
				p.file(fmt.Sprint("d/", i), "x")
			}
			p.file("d/sub/f", "x")
			p.chmod("d/sub", 0o555)
			deleteTree(p, p.dirfd(""), "d")
			p.entries("")
		}},
	}
}

// deleteTree removes a directory as nix-store --gc does.
func deleteTree(p *place, parent int, name string) {
	p.Helper()
	p.try(unix.Fchmodat(parent, name, 0o700, 0))
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	p.try(err)
	d := os.NewFile(uintptr(fd), name)
	defer d.Close()
	for {
		names, err := d.Readdirnames(10)
		for _, child := range names {
			deleteChild(p, int(d.Fd()), child)
		}
		if err != nil {
			break
		}
	}
	p.try(unix.Unlinkat(parent, name, unix.AT_REMOVEDIR))
}

func deleteChild(p *place, dir int, name string) {
	p.Helper()
	var st unix.Stat_t
	p.try(unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW))
	if newStatus(&st).typ == unix.S_IFDIR {
		deleteTree(p, dir, name)
		return
	}
	p.try(unix.Unlinkat(dir, name, 0))
}
