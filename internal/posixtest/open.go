package posixtest

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	createNew = unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY
	createRW  = unix.O_CREAT | unix.O_RDWR
)

func openCases() []testCase {
	return []testCase{
		{name: "create", run: func(p *place) {
			p.close(p.open("f", unix.O_CREAT|unix.O_WRONLY, 0o666))
			st := p.lstat("f")
			same(p, "type", st.typ, unix.S_IFREG)
			same(p, "size", st.size, 0)
			same(p, "nlink", st.nlink, 1)
			p.perm("f", 0o644)
		}},
		{name: "excl-new", run: func(p *place) {
			p.close(p.open("f", createNew, 0o600))
			p.perm("f", 0o600)
		}},
		{name: "excl-keeps-mode-bits", run: func(p *place) {
			for _, mode := range []uint32{0o400, 0o444, 0o555, 0o755, 0o000} {
				name := fmt.Sprintf("%o", mode)
				p.close(p.open(name, createNew, mode))
				p.perm(name, mode)
			}
		}},
		{name: "excl-time-is-now", run: func(p *place) {
			// An NFS server may keep the create verifier in the times until the
			// client sets them (RFC 1813 §3.3.8).
			before := p.now()
			p.close(p.open("f", createNew, 0o600))
			if got := p.lstat("f").mtime; got.Before(before) {
				p.Errorf("mtime of a new file: got %v, want %v or later", got, before)
			}
		}},
		{name: "excl-file-exists", run: func(p *place) {
			p.file("f", "kept")
			p.refused("open", p.openErr("f", createNew|unix.O_TRUNC, 0o600), unix.EEXIST)
			p.content("f", "kept")
		}},
		{name: "excl-dangling-symlink-exists", run: func(p *place) {
			p.symlink("none", "s")
			p.refused("open", p.openErr("s", createNew, 0o600), unix.EEXIST)
			p.gone("none")
		}},
		{name: "excl-directory-exists", run: func(p *place) {
			p.mkdir("d")
			p.refused("open", p.openErr("d", createNew, 0o600), unix.EEXIST)
		}},
		{name: "excl-after-unlink", run: func(p *place) {
			for range 5 {
				p.close(p.open("f", createNew, 0o600))
				p.refused("open", p.openErr("f", createNew, 0o600), unix.EEXIST)
				p.unlink("f")
			}
		}},
		{name: "create-through-dangling-symlink", run: func(p *place) {
			p.symlink("target", "s")
			p.write(p.open("s", unix.O_CREAT|unix.O_WRONLY, 0o644), "x")
			p.content("target", "x")
		}},
		{name: "create-on-directory", run: func(p *place) {
			p.mkdir("d")
			p.refused("open", p.openErr("d", unix.O_CREAT|unix.O_WRONLY, 0o644), unix.EISDIR)
		}},
		{name: "create-existing-keeps-all", run: func(p *place) {
			p.file("f", "kept")
			p.chmod("f", 0o640)
			before := p.lstat("f")
			p.close(p.open("f", createRW, 0o777))
			same(p, "status", p.lstat("f"), before)
			p.content("f", "kept")
		}},
		{name: "trunc", run: func(p *place) {
			p.file("f", "some text")
			p.chmod("f", 0o600)
			ino := p.lstat("f").ino
			p.close(p.open("f", unix.O_CREAT|unix.O_TRUNC|unix.O_WRONLY, 0o777))
			st := p.lstat("f")
			same(p, "size", st.size, 0)
			same(p, "inode", st.ino, ino)
			p.perm("f", 0o600)
		}},
		{name: "append", run: func(p *place) {
			for i := range 3 {
				f := p.open("f", unix.O_CREAT|unix.O_APPEND|unix.O_WRONLY, 0o644)
				p.write(f, fmt.Sprintln("line", i))
				p.close(f)
			}
			p.content("f", "line 0\nline 1\nline 2\n")
		}},
		{name: "append-two-descriptors", run: func(p *place) {
			a := p.open("f", unix.O_CREAT|unix.O_APPEND|unix.O_WRONLY, 0o644)
			b := p.open("f", unix.O_APPEND|unix.O_WRONLY, 0)
			for range 20 {
				p.write(a, "a")
				p.write(b, "b")
			}
			p.content("f", strings.Repeat("ab", 20))
		}},
		{name: "append-after-truncate", run: func(p *place) {
			f := p.open("f", unix.O_CREAT|unix.O_APPEND|unix.O_WRONLY, 0o644)
			p.write(f, "0123456789")
			p.try(os.Truncate(p.path("f"), 4))
			p.write(f, "x")
			p.content("f", "0123x")
		}},
		{name: "nofollow-symlink", run: func(p *place) {
			p.file("f", "x")
			p.symlink("f", "s")
			p.refused("open", p.openErr("s", unix.O_RDONLY|unix.O_NOFOLLOW, 0), unix.ELOOP)
			p.refused("create", p.openErr("s", createRW|unix.O_NOFOLLOW, 0o644), unix.ELOOP)
		}},
		{name: "nofollow-through-a-symlink", run: func(p *place) {
			p.mkdir("d")
			p.file("d/f", "x")
			p.symlink("d", "s")
			p.close(p.open("s/f", unix.O_RDONLY|unix.O_NOFOLLOW, 0))
		}},
		{name: "directory-flag", run: func(p *place) {
			p.mkdir("d")
			p.file("f", "")
			p.symlink("d", "s")
			p.close(p.open("d", unix.O_RDONLY|unix.O_DIRECTORY, 0))
			p.close(p.open("s", unix.O_RDONLY|unix.O_DIRECTORY, 0))
			p.refused("open f", p.openErr("f", unix.O_RDONLY|unix.O_DIRECTORY, 0), unix.ENOTDIR)
			err := p.openErr("s", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
			p.refused("open s", err, unix.ENOTDIR, unix.ELOOP)
		}},
		{name: "directory-for-writing", run: func(p *place) {
			p.mkdir("d")
			p.refused("O_WRONLY", p.openErr("d", unix.O_WRONLY, 0), unix.EISDIR)
			p.refused("O_RDWR", p.openErr("d", unix.O_RDWR, 0), unix.EISDIR)
		}},
		{name: "wrong-way", run: func(p *place) {
			p.file("f", "x")
			_, err := p.open("f", unix.O_RDONLY, 0).WriteString("y")
			p.refused("write", err, unix.EBADF)
			_, err = p.open("f", unix.O_WRONLY, 0).Read(make([]byte, 1))
			p.refused("read", err, unix.EBADF)
		}},
		{name: "read-directory", run: func(p *place) {
			_, err := unix.Read(p.dirfd(""), make([]byte, 10))
			p.refused("read", err, unix.EISDIR)
		}},
		{name: "create-0444-then-write", run: func(p *place) { createThenWrite(p, 0o444) }},
		{name: "create-0000-then-write", run: func(p *place) { createThenWrite(p, 0) }},
		{name: "create-0444-then-read-back", run: func(p *place) {
			f := p.open("f", unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0)
			p.write(f, "text")
			p.try(f.Sync())
			got, err := io.ReadAll(io.NewSectionReader(f, 0, 10))
			p.try(err)
			same(p, "read", string(got), "text")
		}},
		{name: "chmod-0444-while-open-then-write", run: func(p *place) {
			f := p.open("f", createNew, 0o644)
			p.try(f.Chmod(0o444))
			p.write(f, strings.Repeat("x", 300_000))
			p.try(f.Sync())
			p.close(f)
			same(p, "size", p.lstat("f").size, 300_000)
			p.perm("f", 0o444)
		}},
		{name: "chmod-0000-while-open-then-read", run: func(p *place) {
			p.file("f", strings.Repeat("x", 200_000))
			f := p.open("f", unix.O_RDONLY, 0)
			p.chmod("f", 0)
			got, err := io.ReadAll(f)
			p.try(err)
			same(p, "bytes", len(got), 200_000)
		}},
		{name: "two-descriptors-see-one-file", run: func(p *place) {
			a, b := p.open("f", createRW, 0o644), p.open("f", unix.O_RDONLY, 0)
			for i := range 10 {
				p.write(a, fmt.Sprint(i))
				buf := make([]byte, 1)
				_, err := b.ReadAt(buf, int64(i))
				p.try(err)
				same(p, "byte", string(buf), fmt.Sprint(i))
				same(p, "size", p.fstat(b).size, int64(i+1))
			}
		}},
		{name: "duplicates-share-an-offset", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			fd, err := unix.Dup(int(f.Fd()))
			p.try(err)
			defer unix.Close(fd)
			p.write(f, "one")
			_, err = unix.Write(fd, []byte("two"))
			p.try(err)
			p.content("f", "onetwo")
		}},
		{name: "many-open-files", run: func(p *place) {
			var files []*os.File
			for i := range 300 {
				f := p.open(fmt.Sprint(i), createRW, 0o644)
				p.write(f, fmt.Sprint(i))
				files = append(files, f)
			}
			for i, f := range files {
				buf := make([]byte, 3)
				n, _ := f.ReadAt(buf, 0)
				same(p, "content", string(buf[:n]), fmt.Sprint(i))
				p.close(f)
			}
		}},
	}
}

// createThenWrite makes a file that its owner may not open for writing, and
// writes it through the descriptor that made it.
func createThenWrite(p *place, mode uint32) {
	f := p.open("f", createNew|unix.O_NOFOLLOW, mode)
	p.write(f, strings.Repeat("x", 100_000))
	p.write(f, "end")
	p.try(f.Sync())
	p.close(f)
	same(p, "size", p.lstat("f").size, 100_003)
	p.perm("f", mode)
}
