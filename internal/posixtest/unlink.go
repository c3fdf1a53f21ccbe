package posixtest

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func unlinkCases() []testCase {
	return []testCase{
		{name: "file", run: func(p *place) {
			p.file("f", "x")
			p.unlink("f")
			p.gone("f")
			p.refused("again", unix.Unlink(p.path("f")), unix.ENOENT)
			p.entries("")
		}},
		{name: "read-only-file", run: func(p *place) {
			p.file("f", "x")
			p.chmod("f", 0o444)
			p.unlink("f")
			p.gone("f")
		}},
		{name: "directory", run: func(p *place) {
			p.mkdir("d")
			p.refused("unlink", unix.Unlink(p.path("d")), unix.EISDIR, unix.EPERM)
			p.entries("", "d")
		}},
		{name: "every-type", run: func(p *place) {
			p.symlink("none", "s")
			p.try(unix.Mkfifo(p.path("p"), 0o644))
			p.unlink("s")
			p.unlink("p")
			p.entries("")
		}},
		{name: "while-open", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.write(f, "before")
			p.unlink("f")
			p.gone("f")
			p.write(f, "after")
			p.try(f.Sync())
			got, err := io.ReadAll(io.NewSectionReader(f, 0, 100))
			p.try(err)
			same(p, "content", string(got), "beforeafter")
			same(p, "size", p.fstat(f).size, 11)
			p.close(f)
		}},
		{name: "while-open-is-out-of-sight", run: func(p *place) {
			p.file("f", "x")
			f := p.open("f", unix.O_RDONLY, 0)
			p.unlink("f")
			// A client may keep the file under a hidden name of its own, and
			// the server keeps those out of listings.
			p.entries("")
			p.close(f)
			p.entries("")
		}},
		{name: "while-open-then-rmdir", run: func(p *place) {
			p.mkdir("d")
			p.file("d/f", "x")
			f := p.open("d/f", unix.O_RDWR, 0)
			p.unlink("d/f")
			p.try(unix.Rmdir(p.path("d")))
			p.gone("d")
			got, err := io.ReadAll(f)
			p.try(err)
			same(p, "content", string(got), "x")
			p.write(f, "more")
			p.try(f.Sync())
		}},
		{name: "while-open-twice", run: func(p *place) {
			p.file("f", "x")
			a, b := p.open("f", unix.O_RDWR, 0), p.open("f", unix.O_RDONLY, 0)
			p.unlink("f")
			p.close(a)
			got, err := io.ReadAll(b)
			p.try(err)
			same(p, "content", string(got), "x")
		}},
		{name: "while-open-and-create-again", run: func(p *place) {
			p.file("f", "old")
			old := p.open("f", unix.O_RDWR, 0)
			p.unlink("f")
			p.file("f", "new")
			buf := make([]byte, 3)
			_, err := old.ReadAt(buf, 0)
			p.try(err)
			same(p, "old file", string(buf), "old")
			p.write(old, "OLD")
			p.content("f", "new")
		}},
		{name: "while-open-then-close-many", run: func(p *place) {
			var files []*os.File
			for i := range 50 {
				f := p.open(fmt.Sprint(i), createRW, 0o644)
				p.write(f, fmt.Sprint(i))
				p.unlink(fmt.Sprint(i))
				files = append(files, f)
			}
			for i, f := range files {
				buf := make([]byte, 2)
				n, _ := f.ReadAt(buf, 0)
				same(p, "content", string(buf[:n]), fmt.Sprint(i))
				p.close(f)
			}
			p.entries("")
		}},
		{name: "one-name-of-two-while-open", run: func(p *place) {
			p.file("a", "x")
			p.link("a", "b")
			f := p.open("a", unix.O_RDWR, 0)
			p.unlink("a")
			p.write(f, "y")
			p.try(f.Sync())
			p.content("b", "y")
		}},
		{name: "create-again-is-another-file", run: func(p *place) {
			for i := range 30 {
				p.file("f", strings.Repeat("x", i))
				st := p.lstat("f")
				same(p, "size", st.size, int64(i))
				same(p, "nlink", st.nlink, 1)
				p.content("f", strings.Repeat("x", i))
				p.unlink("f")
			}
		}},
		// Any name belongs to whoever uses it, also one like those that NFS
		// clients hide files under.
		{name: "name-almost-like-a-hidden-one", run: func(p *place) { ownsName(p, ".nfs0000000000abcdef00000001foo") }},
		{name: "name-like-a-hidden-one", run: func(p *place) { ownsName(p, ".nfs0000000000abcdef00000001") }},
		{name: "name-like-a-hidden-one-on-macos", run: func(p *place) { ownsName(p, ".nfs.20051a80.1c24") }},
	}
}

// ownsName does with a name what one does with names.
func ownsName(p *place, name string) {
	p.mkdir("d")
	p.file("d/"+name, "mine")
	p.entries("d", name)
	p.content("d/"+name, "mine")
	p.refused("rmdir", unix.Rmdir(p.path("d")), unix.ENOTEMPTY, unix.EEXIST)
	p.rename("d/"+name, "d/plain")
	p.entries("d", "plain")
	p.rename("d/plain", "d/"+name)
	p.entries("d", name)
	p.content("d/"+name, "mine")
	p.unlink("d/" + name)
	p.entries("d")
}

func directoryCases() []testCase {
	return []testCase{
		{name: "make-and-remove", run: func(p *place) {
			p.try(unix.Mkdir(p.path("d"), 0o755))
			p.entries("d")
			p.try(unix.Rmdir(p.path("d")))
			p.gone("d")
			p.refused("again", unix.Rmdir(p.path("d")), unix.ENOENT)
		}},
		{name: "not-empty", run: func(p *place) {
			p.mkdir("a/sub", "b")
			p.file("b/f", "x")
			p.mkdir("c")
			p.symlink("none", "c/s")
			for _, name := range []string{"a", "b", "c"} {
				p.refused(name, unix.Rmdir(p.path(name)), unix.ENOTEMPTY, unix.EEXIST)
			}
		}},
		{name: "dot-and-dot-dot", run: func(p *place) {
			p.mkdir("d/sub")
			p.refused("d/.", unix.Rmdir(p.path("d/.")), unix.EINVAL)
			p.refused("d/sub/..", unix.Rmdir(p.path("d/sub/..")), unix.ENOTEMPTY, unix.EEXIST, unix.EINVAL)
			same(p, "inode of d/.", p.lstat("d/.").ino, p.lstat("d").ino)
			same(p, "inode of d/sub/..", p.lstat("d/sub/..").ino, p.lstat("d").ino)
		}},
		{name: "read-only-directory", run: func(p *place) {
			p.mkdir("d")
			p.chmod("d", 0o555)
			p.try(unix.Rmdir(p.path("d")))
		}},
		{name: "trailing-slash", run: func(p *place) {
			p.try(unix.Mkdir(p.path("d/"), 0o755))
			p.try(unix.Rmdir(p.path("d/")))
			p.entries("")
		}},
		{name: "removed-while-open", run: func(p *place) {
			p.mkdir("d")
			fd := p.dirfd("d")
			p.try(unix.Rmdir(p.path("d")))
			err := unix.Mkdirat(fd, "sub", 0o755)
			p.refused("mkdirat", err, unix.ENOENT, unix.ESTALE)
		}},
		{name: "made-again-is-another-one", run: func(p *place) {
			for range 20 {
				p.mkdir("d")
				p.file("d/f", "x")
				p.entries("d", "f")
				p.unlink("d/f")
				p.try(unix.Rmdir(p.path("d")))
			}
		}},
		{name: "deep", run: func(p *place) {
			deep := strings.TrimSuffix(strings.Repeat("d/", 100), "/")
			p.mkdir(deep)
			p.file(deep+"/f", "x")
			p.content(deep+"/f", "x")
			p.try(os.RemoveAll(p.path("d")))
			p.entries("")
		}},
		{name: "link-count-is-steady", run: func(p *place) {
			// 1, or 2 and the number of subdirectories, as on btrfs and ext4.
			p.mkdir("d")
			if got := p.lstat("d").nlink; got != 1 && got != 2 {
				p.Errorf("nlink of an empty directory: got %d, want 1 or 2", got)
			}
			base := p.lstat("d").nlink
			p.mkdir("d/a", "d/b", "d/c")
			got := p.lstat("d").nlink
			if got != base && got != base+3 {
				p.Errorf("nlink with three subdirectories: got %d, want %d or %d", got, base, base+3)
			}
			p.try(os.RemoveAll(p.path("d/a")))
			p.try(os.RemoveAll(p.path("d/b")))
			p.try(os.RemoveAll(p.path("d/c")))
			same(p, "nlink after their removal", p.lstat("d").nlink, base)
		}},
		{name: "working-directory", run: func(p *place) {
			p.mkdir("d")
			p.Chdir(p.path("d"))
			p.try(os.WriteFile("f", []byte("x"), 0o644))
			p.rename("d", "e")
			got, err := os.ReadFile("f")
			p.try(err)
			same(p, "content", string(got), "x")
			p.content("e/f", "x")
		}},
	}
}
