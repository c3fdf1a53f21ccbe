package posixtest

import (
	"os"

	"golang.org/x/sys/unix"
)

func permissionCases() []testCase {
	return []testCase{
		{name: "file-modes", who: onlyUser, run: func(p *place) {
			p.file("f", "x")
			for _, tt := range []struct {
				mode                uint32
				read, write, access bool
			}{
				{0, false, false, false},
				{0o400, true, false, false},
				{0o200, false, true, false},
				{0o600, true, true, false},
				{0o044, false, false, false},
				{0o477, true, false, false},
				{0o700, true, true, true},
			} {
				p.chmod("f", tt.mode)
				p.may("read", p.openErr("f", unix.O_RDONLY, 0), tt.read)
				p.may("write", p.openErr("f", unix.O_WRONLY, 0), tt.write)
				p.may("read and write", p.openErr("f", unix.O_RDWR, 0), tt.read && tt.write)
				p.may("truncate", p.openErr("f", unix.O_WRONLY|unix.O_TRUNC, 0), tt.write)
				p.may("access R_OK", unix.Access(p.path("f"), unix.R_OK), tt.read)
				p.may("access W_OK", unix.Access(p.path("f"), unix.W_OK), tt.write)
				p.may("access X_OK", unix.Access(p.path("f"), unix.X_OK), tt.access)
			}
		}},
		{name: "access-of-root", who: onlyRoot, run: func(p *place) {
			p.file("f", "x")
			p.chmod("f", 0)
			p.try(unix.Access(p.path("f"), unix.R_OK|unix.W_OK))
			p.refused("X_OK", unix.Access(p.path("f"), unix.X_OK), unix.EACCES)
			p.chmod("f", 0o001)
			p.try(unix.Access(p.path("f"), unix.X_OK))
		}},
		{name: "access-of-what-is-there", run: func(p *place) {
			p.file("f", "x")
			p.mkdir("d")
			p.try(unix.Access(p.path("f"), unix.F_OK))
			p.try(unix.Access(p.path("d"), unix.R_OK|unix.W_OK|unix.X_OK))
			p.refused("none", unix.Access(p.path("none"), unix.F_OK), unix.ENOENT)
			p.refused("f/x", unix.Access(p.path("f/x"), unix.F_OK), unix.ENOTDIR)
			p.symlink("none", "s")
			p.refused("s", unix.Access(p.path("s"), unix.F_OK), unix.ENOENT)
		}},
		{name: "directory-0555", who: onlyUser, run: func(p *place) {
			p.closed(0o555)
			p.content("d/f", "x")
			p.entries("d", "f", "sub")
			p.refusesChanges()
			p.file("d/f", "files of it can still be written")
		}},
		{name: "directory-0311", who: onlyUser, run: func(p *place) {
			p.closed(0o311)
			_, err := os.ReadDir(p.path("d"))
			p.refused("list", err, unix.EACCES)
			p.content("d/f", "x")
			p.file("d/new", "x")
			p.unlink("d/new")
		}},
		{name: "directory-0444", who: onlyUser, run: func(p *place) {
			p.closed(0o444)
			p.refused("open", p.openErr("d/f", unix.O_RDONLY, 0), unix.EACCES)
			var st unix.Stat_t
			p.refused("stat", unix.Stat(p.path("d/f"), &st), unix.EACCES)
			p.refusesChanges()
		}},
		{name: "directory-0666", who: onlyUser, run: func(p *place) {
			p.closed(0o666)
			p.refused("create", p.openErr("d/new", createNew, 0o644), unix.EACCES)
			p.refused("chdir", unix.Chdir(p.path("d")), unix.EACCES)
		}},
		{name: "directory-0000", who: onlyUser, run: func(p *place) {
			p.closed(0)
			_, err := os.ReadDir(p.path("d"))
			p.refused("list", err, unix.EACCES)
			p.refused("open", p.openErr("d/f", unix.O_RDONLY, 0), unix.EACCES)
			p.refused("access", unix.Access(p.path("d"), unix.X_OK), unix.EACCES)
			p.refusesChanges()
		}},
		{name: "file-in-the-way", who: onlyUser, run: func(p *place) {
			// The directory decides about removal, not the file.
			p.file("f", "x")
			p.chmod("f", 0)
			p.unlink("f")
			p.gone("f")
		}},
		{name: "directory-made-readable-again", who: onlyUser, run: func(p *place) {
			// Denials that the client has cached must go.
			p.closed(0)
			for range 5 {
				p.refused("open", p.openErr("d/f", unix.O_RDONLY, 0), unix.EACCES)
				p.chmod("d", 0o755)
				p.content("d/f", "x")
				p.chmod("d", 0)
			}
		}},
		{name: "truncate-needs-write", who: onlyUser, run: func(p *place) {
			p.file("f", "kept")
			p.chmod("f", 0o400)
			p.refused("open", p.openErr("f", unix.O_WRONLY|unix.O_TRUNC, 0), unix.EACCES)
			p.refused("create", p.openErr("f", unix.O_CREAT|unix.O_TRUNC|unix.O_WRONLY, 0o644), unix.EACCES)
			p.content("f", "kept")
		}},
		{name: "mkdir-0000-stays-usable-by-rmdir", run: func(p *place) {
			p.try(unix.Mkdir(p.path("d"), 0))
			p.try(unix.Rmdir(p.path("d")))
		}},
	}
}

// may checks whether a call was allowed.
func (p *place) may(what string, err error, allowed bool) {
	p.Helper()
	if allowed {
		if err != nil {
			p.Errorf("%s: %v", what, err)
		}
		return
	}
	p.refused(what, err, unix.EACCES)
}

// closed makes a directory d that holds a file f and a directory sub, and
// gives it the mode.
func (p *place) closed(mode uint32) {
	p.Helper()
	p.mkdir("d/sub")
	p.file("d/f", "x")
	p.file("outside", "x")
	p.chmod("d", mode)
}

// refusesChanges checks that nothing in d can be made, moved or removed.
func (p *place) refusesChanges() {
	p.Helper()
	in := func(name string) string { return p.path("d/" + name) }
	p.refused("create", p.openErr("d/new", createNew, 0o644), unix.EACCES)
	p.refused("mkdir", unix.Mkdir(in("new"), 0o755), unix.EACCES)
	p.refused("symlink", unix.Symlink("x", in("new")), unix.EACCES)
	p.refused("mkfifo", unix.Mkfifo(in("new"), 0o644), unix.EACCES)
	p.refused("link", unix.Link(p.path("outside"), in("new")), unix.EACCES)
	p.refused("rename in", unix.Rename(p.path("outside"), in("new")), unix.EACCES)
	p.refused("rename out", unix.Rename(in("f"), p.path("new")), unix.EACCES)
	p.refused("unlink", unix.Unlink(in("f")), unix.EACCES)
	p.refused("rmdir", unix.Rmdir(in("sub")), unix.EACCES)
	p.entries("", "d", "outside")
}
