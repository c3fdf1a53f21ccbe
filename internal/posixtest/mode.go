package posixtest

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func modeCases() []testCase {
	return []testCase{
		{name: "every-mode-of-a-file", run: func(p *place) {
			p.file("f", "x")
			for _, mode := range []uint32{0, 0o444, 0o555, 0o600, 0o644, 0o755, 0o777, 0o111, 0o222, 0o4755, 0o6755} {
				p.chmod("f", mode)
				p.perm("f", mode)
			}
		}},
		{name: "every-mode-of-a-directory", run: func(p *place) {
			p.mkdir("d")
			for _, mode := range []uint32{0, 0o311, 0o444, 0o555, 0o700, 0o755, 0o777, 0o1777, 0o2755, 0o1775} {
				p.chmod("d", mode)
				p.perm("d", mode)
			}
		}},
		{name: "mkdir", run: func(p *place) {
			for _, mode := range []uint32{0o700, 0o755, 0o555, 0o500, 0} {
				name := fmt.Sprintf("%o", mode)
				p.try(unix.Mkdir(p.path(name), mode))
				p.perm(name, mode)
			}
		}},
		{name: "umask", run: func(p *place) {
			for _, tt := range []struct{ umask, file, dir uint32 }{
				{0, 0o666, 0o777}, {0o022, 0o644, 0o755}, {0o077, 0o600, 0o700}, {0o027, 0o640, 0o750}, {0o777, 0, 0},
			} {
				old := unix.Umask(int(tt.umask))
				name := fmt.Sprintf("%o", tt.umask)
				fileErr := p.openErr(name, unix.O_CREAT|unix.O_WRONLY, 0o666)
				dirErr := unix.Mkdir(p.path(name+".d"), 0o777)
				fifoErr := unix.Mkfifo(p.path(name+".p"), 0o666)
				unix.Umask(old)
				p.try(fileErr)
				p.try(dirErr)
				p.try(fifoErr)
				p.perm(name, tt.file)
				p.perm(name+".d", tt.dir)
				p.perm(name+".p", tt.file)
			}
		}},
		{name: "sticky-directory", run: func(p *place) {
			p.mkdir("d")
			p.chmod("d", 0o1777)
			p.file("d/f", "x")
			p.perm("d", 0o1777)
			p.unlink("d/f")
		}},
		{name: "setgid-directory", run: func(p *place) {
			p.mkdir("d")
			gid := p.lstat("d").gid
			p.chmod("d", 0o2755)
			p.file("d/f", "x")
			same(p, "group of the file", p.lstat("d/f").gid, gid)
		}},
		{name: "write-clears-setuid", who: onlyUser, run: func(p *place) {
			p.file("f", "x")
			p.chmod("f", 0o4755)
			p.file("f", "changed")
			p.perm("f", 0o755)
		}},
		{name: "open-file", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.try(f.Chmod(0o555))
			p.perm("f", 0o555)
			same(p, "fstat", p.fstat(f).perm, 0o555)
		}},
		{name: "unlinked-open-file", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.unlink("f")
			p.try(f.Chmod(0o400))
			same(p, "fstat", p.fstat(f).perm, 0o400)
		}},
		{name: "empty-executable", run: func(p *place) {
			p.close(p.open("f", createNew, 0o777))
			p.perm("f", 0o755)
		}},
		{name: "missing", run: func(p *place) {
			p.refused("chmod", unix.Chmod(p.path("none"), 0o600), unix.ENOENT)
			p.symlink("none", "s")
			p.refused("chmod", unix.Chmod(p.path("s"), 0o600), unix.ENOENT)
		}},
		{name: "types", run: func(p *place) {
			p.file("f", "x")
			p.mkdir("d")
			p.symlink("f", "s")
			p.try(unix.Mkfifo(p.path("p"), 0o644))
			for name, want := range map[string]uint32{
				"f": unix.S_IFREG, "d": unix.S_IFDIR, "s": unix.S_IFLNK, "p": unix.S_IFIFO, "": unix.S_IFDIR,
			} {
				same(p, "type of "+name, p.lstat(name).typ, want)
			}
		}},
		{name: "contents-survive", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.write(f, pattern(50_000))
			p.chmod("f", 0o400)
			p.chmod("f", 0o600)
			p.content("f", pattern(50_000))
		}},
	}
}

func ownerCases() []testCase {
	self, group := os.Geteuid(), os.Getegid()
	return []testCase{
		{name: "of-new-objects", run: func(p *place) {
			p.file("f", "x")
			p.mkdir("d")
			p.symlink("f", "s")
			p.try(unix.Mkfifo(p.path("p"), 0o644))
			for _, name := range []string{"f", "d", "s", "p"} {
				same(p, "owner of "+name, p.lstat(name).uid, uint32(self))
			}
		}},
		{name: "to-oneself", run: func(p *place) {
			p.file("f", "x")
			p.symlink("none", "s")
			p.try(unix.Chown(p.path("f"), self, group))
			p.try(unix.Chown(p.path("f"), -1, -1))
			p.try(unix.Chown(p.path("f"), -1, group))
			p.try(unix.Lchown(p.path("s"), self, group))
			same(p, "owner", p.lstat("f").uid, uint32(self))
		}},
		{name: "to-another", who: onlyRoot, run: func(p *place) {
			p.file("f", "x")
			p.mkdir("d")
			for _, name := range []string{"f", "d"} {
				p.try(unix.Chown(p.path(name), 1234, 2345))
				same(p, "owner", p.lstat(name).uid, 1234)
				same(p, "group", p.lstat(name).gid, 2345)
				p.try(unix.Chown(p.path(name), -1, 17))
				same(p, "owner", p.lstat(name).uid, 1234)
				same(p, "group", p.lstat(name).gid, 17)
			}
		}},
		{name: "of-a-symlink", who: onlyRoot, run: func(p *place) {
			p.file("f", "x")
			p.symlink("f", "s")
			p.try(unix.Lchown(p.path("s"), 1234, 2345))
			same(p, "owner of s", p.lstat("s").uid, 1234)
			same(p, "owner of f", p.lstat("f").uid, 0)
			p.try(unix.Chown(p.path("s"), 17, 18))
			same(p, "owner of s", p.lstat("s").uid, 1234)
			same(p, "owner of f", p.lstat("f").uid, 17)
		}},
		{name: "away", who: onlyUser, run: func(p *place) {
			p.file("f", "x")
			p.refused("owner", unix.Chown(p.path("f"), self+1, -1), unix.EPERM)
			p.refused("group", unix.Chown(p.path("f"), -1, group+4321), unix.EPERM)
			same(p, "owner", p.lstat("f").uid, uint32(self))
		}},
		{name: "chown-clears-setuid", run: func(p *place) {
			p.file("f", "x")
			p.chmod("f", 0o6755)
			p.try(unix.Chown(p.path("f"), self, group))
			p.perm("f", 0o755)
		}},
	}
}
