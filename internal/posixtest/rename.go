package posixtest

import (
	"strings"

	"golang.org/x/sys/unix"
)

func renameCases() []testCase {
	return []testCase{
		{name: "new-name", run: func(p *place) {
			p.file("a", "1")
			before := p.lstat("a")
			p.rename("a", "b")
			p.gone("a")
			p.content("b", "1")
			same(p, "inode", p.lstat("b").ino, before.ino)
			same(p, "mtime", p.lstat("b").mtime, before.mtime)
		}},
		{name: "over-file", run: func(p *place) {
			p.file("a", "new")
			p.file("b", "old")
			ino := p.lstat("a").ino
			p.rename("a", "b")
			p.content("b", "new")
			same(p, "inode", p.lstat("b").ino, ino)
			p.entries("", "b")
		}},
		{name: "over-file-of-mode-0444", run: func(p *place) {
			p.file("a", "new")
			p.file("b", "old")
			p.chmod("a", 0o444)
			p.chmod("b", 0o444)
			p.rename("a", "b")
			p.content("b", "new")
		}},
		{name: "over-a-file-with-links", run: func(p *place) {
			p.file("a", "new")
			p.file("b", "old")
			p.link("b", "c")
			p.rename("a", "b")
			p.content("c", "old")
			p.nlink("c", 1)
		}},
		{name: "over-open-file", run: func(p *place) {
			p.file("a", "new")
			p.file("b", "old")
			f := p.open("b", unix.O_RDWR, 0)
			p.rename("a", "b")
			p.content("b", "new")
			p.entries("", "b")
			buf := make([]byte, 3)
			_, err := f.ReadAt(buf, 0)
			p.try(err)
			same(p, "open file", string(buf), "old")
			p.write(f, "OLD")
			p.content("b", "new")
		}},
		{name: "over-symlink", run: func(p *place) {
			p.file("a", "new")
			p.file("t", "target")
			p.symlink("t", "s")
			p.rename("a", "s")
			p.content("s", "new")
			p.content("t", "target")
		}},
		{name: "symlink-over-file", run: func(p *place) {
			p.file("f", "x")
			p.symlink("none", "s")
			p.rename("s", "f")
			p.target("f", "none")
			p.gone("s")
		}},
		{name: "symlink-moves-not-its-target", run: func(p *place) {
			p.mkdir("d")
			p.symlink("d", "s")
			p.rename("s", "s2")
			p.target("s2", "d")
			p.entries("", "d", "s2")
		}},
		{name: "onto-itself", run: func(p *place) {
			p.file("a", "x")
			p.rename("a", "a")
			p.content("a", "x")
			p.mkdir("d")
			p.rename("d", "d")
			p.entries("", "a", "d")
		}},
		{name: "hard-link-aliases-stay", run: func(p *place) {
			// POSIX: names of one file, rename does nothing.
			p.file("a", "x")
			p.link("a", "b")
			p.rename("a", "b")
			p.entries("", "a", "b")
			p.nlink("a", 2)
		}},
		{name: "hard-link-aliases-in-two-directories", run: func(p *place) {
			p.mkdir("d")
			p.file("a", "x")
			p.link("a", "d/b")
			p.rename("a", "d/b")
			p.nlink("a", 2)
			p.entries("d", "b")
		}},
		{name: "open-file", run: func(p *place) {
			f := p.open("a", createRW, 0o644)
			p.write(f, "one")
			p.rename("a", "b")
			p.write(f, "two")
			p.try(f.Sync())
			p.content("b", "onetwo")
			p.unlink("b")
			p.write(f, "three")
			same(p, "size", p.fstat(f).size, 11)
		}},
		{name: "between-directories", run: func(p *place) {
			p.mkdir("d/e", "g")
			p.file("d/e/f", "x")
			p.rename("d/e/f", "g/h")
			p.content("g/h", "x")
			p.entries("d/e")
		}},
		{name: "swap-by-three", run: func(p *place) {
			p.file("a", "A")
			p.file("b", "B")
			p.rename("a", "tmp")
			p.rename("b", "a")
			p.rename("tmp", "b")
			p.content("a", "B")
			p.content("b", "A")
		}},
		{name: "again-and-again", run: func(p *place) {
			for i := range 50 {
				content := strings.Repeat("x", i+1)
				p.file("tmp", content)
				p.rename("tmp", "f")
				p.content("f", content)
			}
			p.entries("", "f")
		}},
		{name: "case-of-a-name", run: func(p *place) {
			p.file("name", "x")
			p.rename("name", "NAME")
			p.entries("", "NAME")
		}},
		{name: "file-over-directory", run: func(p *place) {
			p.file("f", "x")
			p.mkdir("d")
			p.refused("rename", unix.Rename(p.path("f"), p.path("d")), unix.EISDIR)
			p.entries("", "d", "f")
		}},
		{name: "onto-long-name", run: func(p *place) {
			p.file("f", "x")
			p.refused("256", unix.Rename(p.path("f"), p.path(strings.Repeat("n", 256))), unix.ENAMETOOLONG)
			p.rename("f", strings.Repeat("n", 255))
			p.entries("", strings.Repeat("n", 255))
		}},
	}
}

func renameDirCases() []testCase {
	return []testCase{
		{name: "directory", run: func(p *place) {
			p.mkdir("d/sub")
			p.file("d/sub/f", "x")
			ino := p.lstat("d").ino
			p.rename("d", "e")
			p.gone("d")
			p.content("e/sub/f", "x")
			same(p, "inode", p.lstat("e").ino, ino)
		}},
		{name: "directory-to-another-parent", run: func(p *place) {
			p.mkdir("a/d/sub", "b")
			p.file("a/d/f", "x")
			p.rename("a/d", "b/d")
			p.content("b/d/f", "x")
			p.entries("a")
			same(p, "inode of ..", p.stat("b/d/..").ino, p.stat("b").ino)
		}},
		{name: "directory-over-empty", run: func(p *place) {
			p.mkdir("a", "b")
			p.file("a/f", "x")
			ino := p.lstat("a").ino
			p.rename("a", "b")
			p.content("b/f", "x")
			same(p, "inode", p.lstat("b").ino, ino)
			p.entries("", "b")
		}},
		{name: "directory-over-full", run: func(p *place) {
			p.mkdir("a", "b")
			p.file("b/f", "x")
			p.refused("rename", unix.Rename(p.path("a"), p.path("b")), unix.ENOTEMPTY, unix.EEXIST)
			p.content("b/f", "x")
			p.entries("", "a", "b")
		}},
		{name: "directory-over-file", run: func(p *place) {
			p.mkdir("d")
			p.file("f", "x")
			p.refused("rename", unix.Rename(p.path("d"), p.path("f")), unix.ENOTDIR)
			p.content("f", "x")
		}},
		{name: "directory-over-symlink-to-directory", run: func(p *place) {
			p.mkdir("a", "b")
			p.symlink("b", "s")
			p.refused("rename", unix.Rename(p.path("a"), p.path("s")), unix.ENOTDIR)
		}},
		{name: "directory-into-itself", run: func(p *place) {
			p.mkdir("d/sub/sub")
			for _, to := range []string{"d/x", "d/sub/x", "d/sub/sub"} {
				p.refused("rename to "+to, unix.Rename(p.path("d"), p.path(to)), unix.EINVAL)
			}
			p.entries("d/sub", "sub")
		}},
		{name: "directory-over-its-parent", run: func(p *place) {
			p.mkdir("d/sub")
			err := unix.Rename(p.path("d/sub"), p.path("d"))
			p.refused("rename", err, unix.ENOTEMPTY, unix.EEXIST)
			p.entries("d", "sub")
		}},
		{name: "open-directory", run: func(p *place) {
			p.mkdir("d/sub")
			p.file("d/sub/f", "x")
			f, dir := p.open("d/sub/f", unix.O_RDWR, 0), p.open("d/sub", unix.O_RDONLY, 0)
			p.rename("d", "e")
			p.write(f, "yz")
			names, err := dir.Readdirnames(-1)
			p.try(err)
			same(p, "entries", strings.Join(names, " "), "f")
			p.content("e/sub/f", "yz")
		}},
		{name: "directory-of-a-dirfd", run: func(p *place) {
			p.mkdir("d")
			fd := p.dirfd("d")
			p.rename("d", "e")
			p.try(unix.Mkdirat(fd, "sub", 0o755))
			p.entries("e", "sub")
		}},
		{name: "read-only-directory-in-place", run: func(p *place) {
			// Nix moves finished outputs, which are 0555.
			p.mkdir("d")
			p.file("d/f", "x")
			p.chmod("d", 0o555)
			p.rename("d", "e")
			p.content("e/f", "x")
			p.perm("e", 0o555)
		}},
		{name: "read-only-directory-to-another-parent", who: onlyUser, run: func(p *place) {
			// Its ".." changes, and that takes write permission on it.
			p.mkdir("a/d", "b")
			p.chmod("a/d", 0o555)
			p.refused("rename", unix.Rename(p.path("a/d"), p.path("b/d")), unix.EACCES)
		}},
		{name: "out-of-a-read-only-directory", who: onlyUser, run: func(p *place) {
			p.mkdir("d")
			p.file("d/f", "x")
			p.chmod("d", 0o555)
			p.refused("rename", unix.Rename(p.path("d/f"), p.path("f")), unix.EACCES)
			p.content("d/f", "x")
		}},
		{name: "trailing-slash", run: func(p *place) {
			p.mkdir("d")
			p.rename("d/", "e/")
			p.entries("", "e")
			p.file("f", "x")
			p.refused("file", unix.Rename(p.path("f/"), p.path("g")), unix.ENOTDIR)
			p.refused("file to g/", unix.Rename(p.path("f"), p.path("g/")), unix.ENOTDIR, unix.ENOENT)
		}},
		{name: "dot", run: func(p *place) {
			p.mkdir("d")
			p.refused("from .", unix.Rename(p.path("d/."), p.path("e")), unix.EBUSY, unix.EINVAL)
			p.refused("to .", unix.Rename(p.path("d"), p.path("d/.")), unix.EBUSY, unix.EINVAL)
		}},
		{name: "missing", run: func(p *place) {
			p.refused("from", unix.Rename(p.path("none"), p.path("x")), unix.ENOENT)
			p.file("f", "x")
			p.refused("to", unix.Rename(p.path("f"), p.path("none/x")), unix.ENOENT)
			p.refused("below a file", unix.Rename(p.path("f"), p.path("f/x")), unix.ENOTDIR)
		}},
	}
}
