package posixtest

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func symlinkCases() []testCase {
	return []testCase{
		{name: "targets", run: func(p *place) {
			targets := []string{
				"f", "../some/target", "/nix/store/abc-x/bin/y", ".", "..", "/", "a//b/", "with space", "\xff\xfe", "a\nb",
				strings.Repeat("x", 100), strings.Repeat("dir/", 250), strings.Repeat("y", 1023), strings.Repeat("z", 1024),
			}
			for i, target := range targets {
				name := fmt.Sprint(i)
				p.symlink(target, name)
				p.target(name, target)
				same(p, "size", p.lstat(name).size, int64(len(target)))
				same(p, "type", p.lstat(name).typ, unix.S_IFLNK)
			}
		}},
		{name: "longest-target", run: func(p *place) {
			target := strings.Repeat("long/", 819)
			p.symlink(target, "s")
			p.target("s", target)
			same(p, "size", p.lstat("s").size, 4095)
		}},
		{name: "too-long-target", run: func(p *place) {
			p.refused("symlink", unix.Symlink(strings.Repeat("x", 4096), p.path("s")), unix.ENAMETOOLONG)
			p.gone("s")
		}},
		{name: "empty-target", run: func(p *place) {
			p.refused("symlink", unix.Symlink("", p.path("s")), unix.ENOENT)
			p.gone("s")
		}},
		{name: "follow", run: func(p *place) {
			p.mkdir("d/sub")
			p.file("d/sub/f", "x")
			p.symlink("d", "s")
			p.symlink("../d/sub", "d/t")
			p.symlink(p.path("d/sub/f"), "absolute")
			p.content("s/t/f", "x")
			p.content("absolute", "x")
			same(p, "inode", p.stat("s/t/f").ino, p.stat("d/sub/f").ino)
		}},
		{name: "dangling", run: func(p *place) {
			p.symlink("none", "s")
			p.refused("open", p.openErr("s", unix.O_RDONLY, 0), unix.ENOENT)
			var st unix.Stat_t
			p.refused("stat", unix.Stat(p.path("s"), &st), unix.ENOENT)
			p.file("none", "now here")
			p.content("s", "now here")
		}},
		{name: "replaced-target-is-seen", run: func(p *place) {
			for i := range 20 {
				p.file(fmt.Sprint(i), fmt.Sprint("content ", i))
				p.symlink(fmt.Sprint(i), "tmp")
				p.rename("tmp", "s")
				p.target("s", fmt.Sprint(i))
				p.content("s", fmt.Sprint("content ", i))
			}
		}},
		{name: "chain", run: func(p *place) {
			p.file("0", "x")
			for i := range 30 {
				p.symlink(fmt.Sprint(i), fmt.Sprint(i+1))
			}
			p.content("30", "x")
		}},
		{name: "loop", run: func(p *place) {
			p.symlink("self", "self")
			p.symlink("b", "a")
			p.symlink("a", "b")
			for _, name := range []string{"self", "a", "b", "a/f"} {
				p.refused("open "+name, p.openErr(name, unix.O_RDONLY, 0), unix.ELOOP)
			}
			p.refused("chmod", unix.Chmod(p.path("self"), 0o600), unix.ELOOP)
		}},
		{name: "exists", run: func(p *place) {
			p.file("f", "x")
			p.mkdir("d")
			p.symlink("none", "s")
			for _, name := range []string{"f", "d", "s"} {
				p.refused(name, unix.Symlink("target", p.path(name)), unix.EEXIST)
			}
			p.target("s", "none")
		}},
		{name: "trailing-slash", run: func(p *place) {
			p.mkdir("d")
			p.file("f", "x")
			p.symlink("d", "s")
			p.symlink("f", "t")
			same(p, "type of s/", p.lstat("s/").typ, unix.S_IFDIR)
			var st unix.Stat_t
			p.refused("stat t/", unix.Stat(p.path("t/"), &st), unix.ENOTDIR)
			p.refused("unlink s/", unix.Unlink(p.path("s/")), unix.ENOTDIR, unix.EISDIR, unix.EPERM)
			p.refused("rmdir s", unix.Rmdir(p.path("s")), unix.ENOTDIR)
		}},
		{name: "readlink-of-others", run: func(p *place) {
			p.file("f", "x")
			p.mkdir("d")
			for _, name := range []string{"f", "d"} {
				_, err := unix.Readlink(p.path(name), make([]byte, 10))
				p.refused(name, err, unix.EINVAL)
			}
		}},
		{name: "readlink-short-buffer", run: func(p *place) {
			p.symlink("0123456789", "s")
			buf := make([]byte, 4)
			n, err := unix.Readlink(p.path("s"), buf)
			p.try(err)
			same(p, "target", string(buf[:n]), "0123")
		}},
		{name: "unlink-keeps-target", run: func(p *place) {
			p.file("f", "x")
			p.symlink("f", "s")
			p.unlink("s")
			p.content("f", "x")
		}},
		{name: "chmod-follows", run: func(p *place) {
			p.file("f", "x")
			p.symlink("f", "s")
			p.chmod("s", 0o600)
			p.perm("f", 0o600)
		}},
		{name: "inode-is-its-own", run: func(p *place) {
			p.file("f", "x")
			p.symlink("f", "s")
			if s := p.lstat("s"); s.ino == p.lstat("f").ino {
				p.Errorf("a symlink and its target share inode %d", s.ino)
			}
			p.nlink("s", 1)
		}},
		{name: "many", run: func(p *place) {
			for i := range 200 {
				p.symlink(fmt.Sprint("target of ", i), fmt.Sprint(i))
			}
			for i := range 200 {
				p.target(fmt.Sprint(i), fmt.Sprint("target of ", i))
			}
		}},
	}
}

// target checks where a symlink leads.
func (p *place) target(name, want string) {
	p.Helper()
	got, err := os.Readlink(p.path(name))
	p.try(err)
	if got != want {
		p.Errorf("target of %s: got %q (%d bytes), want %q (%d bytes)", name, brief(got), len(got), brief(want), len(want))
	}
}
