package posixtest

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

func specialCases() []testCase {
	return []testCase{
		{name: "fifo", run: func(p *place) {
			p.try(unix.Mkfifo(p.path("p"), 0o640))
			p.perm("p", 0o640)
			same(p, "type", p.lstat("p").typ, unix.S_IFIFO)
			// Opened both ways it does not wait for the other side.
			f := p.open("p", unix.O_RDWR, 0)
			p.write(f, "through")
			buf := make([]byte, 7)
			_, err := f.Read(buf)
			p.try(err)
			same(p, "read", string(buf), "through")
			same(p, "size", p.lstat("p").size, 0)
		}},
		{name: "fifo-link-rename-unlink", run: func(p *place) {
			p.try(unix.Mkfifo(p.path("p"), 0o644))
			p.link("p", "q")
			p.rename("p", "r")
			p.nlink("r", 2)
			p.unlink("q")
			p.chmod("r", 0o600)
			p.perm("r", 0o600)
			p.refused("again", unix.Mkfifo(p.path("r"), 0o644), unix.EEXIST)
		}},
		{name: "socket", run: func(p *place) {
			// A relative name, because sun_path is short.
			p.Chdir(p.dir)
			listener, err := net.Listen("unix", "s")
			p.try(err)
			defer listener.Close()
			same(p, "type", p.lstat("s").typ, unix.S_IFSOCK)
			p.chmod("s", 0o600)
			p.perm("s", 0o600)
			_, err = net.Listen("unix", "s")
			p.refused("second bind", err, unix.EADDRINUSE)
			p.talks(listener, "s")
			p.rename("s", "t")
			p.talks(listener, "t")
			p.unlink("t")
			_, err = net.Dial("unix", "t")
			p.refused("connect", err, unix.ENOENT)
		}},
		{name: "socket-without-a-listener", run: func(p *place) {
			p.Chdir(p.dir)
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			p.try(err)
			defer unix.Close(fd)
			p.try(unix.Bind(fd, &unix.SockaddrUnix{Name: "s"}))
			_, err = net.Dial("unix", "s")
			p.refused("connect", err, unix.ECONNREFUSED)
			p.refused("open", p.openErr("s", unix.O_RDONLY, 0), unix.ENXIO, unix.EOPNOTSUPP)
		}},
		{name: "connect-to-a-file", run: func(p *place) {
			p.Chdir(p.dir)
			p.file("f", "x")
			_, err := net.Dial("unix", "f")
			p.refused("connect", err, unix.ECONNREFUSED, unix.ENOTSOCK)
		}},
	}
}

// talks sends a byte from a client to the listener.
func (p *place) talks(listener net.Listener, name string) {
	p.Helper()
	client, err := net.Dial("unix", name)
	p.try(err)
	defer client.Close()
	server, err := listener.Accept()
	p.try(err)
	defer server.Close()
	_, err = client.Write([]byte("x"))
	p.try(err)
	buf := make([]byte, 1)
	_, err = server.Read(buf)
	p.try(err)
	same(p, "byte", string(buf), "x")
}

func statfsCases() []testCase {
	return []testCase{
		{name: "space", run: func(p *place) {
			s := p.statfs("")
			if s.Bsize <= 0 || s.Blocks == 0 || s.Bfree > s.Blocks || s.Bavail > s.Blocks || s.Bavail == 0 {
				p.Errorf("got block size %d, %d blocks, %d free, %d available", s.Bsize, s.Blocks, s.Bfree, s.Bavail)
			}
		}},
		{name: "files", run: func(p *place) {
			if s := p.statfs(""); s.Ffree > s.Files {
				p.Errorf("got %d files and %d free ones", s.Files, s.Ffree)
			}
		}},
		{name: "same-below", run: func(p *place) {
			p.mkdir("d")
			p.file("d/f", "x")
			want := p.statfs("")
			for _, name := range []string{"d", "d/f"} {
				same(p, "blocks", p.statfs(name).Blocks, want.Blocks)
			}
			var s unix.Statfs_t
			p.try(unix.Fstatfs(int(p.open("d/f", unix.O_RDONLY, 0).Fd()), &s))
			same(p, "blocks", s.Blocks, want.Blocks)
		}},
		{name: "one-device", run: func(p *place) {
			p.mkdir("d")
			p.file("d/f", "x")
			var top, st unix.Stat_t
			p.try(unix.Stat(p.dir, &top))
			for _, name := range []string{"d", "d/f"} {
				p.try(unix.Stat(p.path(name), &st))
				same(p, "device of "+name, st.Dev, top.Dev)
			}
		}},
	}
}

func (p *place) statfs(name string) unix.Statfs_t {
	p.Helper()
	var s unix.Statfs_t
	p.try(unix.Statfs(p.path(name), &s))
	return s
}

func xattrCases(f Facts) []testCase {
	cases := []testCase{
		{name: "list-and-remove", run: func(p *place) {
			// Nix strips attributes and takes ENOTSUP for none.
			p.file("f", "x")
			p.symlink("f", "s")
			for _, name := range []string{"f", "s"} {
				n, err := unix.Llistxattr(p.path(name), nil)
				if err != nil {
					p.refused("llistxattr", err, unix.ENOTSUP)
				} else if n > 0 {
					buf := make([]byte, n)
					n, err = unix.Llistxattr(p.path(name), buf)
					p.try(err)
					p.Logf("attributes of %s: %q", name, buf[:n])
				}
			}
		}},
	}
	if f.NoXattr {
		return cases
	}
	return append(cases, testCase{name: "set-and-get", run: func(p *place) {
		p.file("f", "x")
		p.try(unix.Setxattr(p.path("f"), "user.test", []byte("value"), 0))
		buf := make([]byte, 10)
		n, err := unix.Getxattr(p.path("f"), "user.test", buf)
		p.try(err)
		same(p, "value", string(buf[:n]), "value")
		p.try(unix.Removexattr(p.path("f"), "user.test"))
		p.try(os.Remove(p.path("f")))
	}})
}
