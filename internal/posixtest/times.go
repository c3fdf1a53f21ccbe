package posixtest

import (
	"os"

	"golang.org/x/sys/unix"
)

func timesCases() []testCase {
	return []testCase{
		{name: "set", run: func(p *place) {
			p.file("f", "x")
			for _, tt := range []struct{ sec, nsec int64 }{
				{1, 0}, {0, 0}, {1, 1}, {1234567890, 123456789}, {1<<31 - 1, 999_999_999},
			} {
				p.utimes("f", tt.sec, tt.sec, tt.nsec)
				p.mtime("f", tt.sec, tt.nsec)
			}
		}},
		{name: "future", run: func(p *place) {
			p.file("f", "x")
			p.utimes("f", 4_000_000_000, 4_000_000_000, 5)
			p.mtime("f", 4_000_000_000, 5)
		}},
		{name: "directory", run: func(p *place) {
			p.mkdir("d")
			p.file("d/f", "x")
			p.utimes("d", 1, 1, 0)
			p.mtime("d", 1, 0)
			p.content("d/f", "x")
			p.mtime("d", 1, 0)
		}},
		{name: "symlink", run: func(p *place) {
			p.file("f", "x")
			p.symlink("f", "s")
			p.utimes("f", 7, 7, 0)
			p.lutimes("s", 1, 1, 3)
			p.mtime("s", 1, 3)
			p.mtime("f", 7, 0)
		}},
		{name: "dangling-symlink", run: func(p *place) {
			p.symlink("none", "s")
			p.lutimes("s", 1, 1, 0)
			p.mtime("s", 1, 0)
			p.target("s", "none")
		}},
		{name: "follow-symlink", run: func(p *place) {
			p.file("f", "x")
			p.symlink("f", "s")
			p.lutimes("s", 9, 9, 0)
			p.utimes("s", 3, 3, 0)
			p.mtime("f", 3, 0)
			p.mtime("s", 9, 0)
		}},
		{name: "read-only-file", run: func(p *place) {
			p.file("f", "x")
			p.chmod("f", 0o444)
			p.utimes("f", 1, 1, 0)
			p.mtime("f", 1, 0)
		}},
		{name: "read-only-directory", run: func(p *place) {
			p.mkdir("d")
			p.chmod("d", 0o555)
			p.utimes("d", 1, 1, 0)
			p.mtime("d", 1, 0)
		}},
		{name: "open-file", run: func(p *place) {
			// How Nix ends a file: chmod, then times, through the descriptor.
			f := p.open("f", createNew, 0o600)
			p.write(f, "x")
			p.try(f.Chmod(0o444))
			times := []unix.Timeval{{Sec: 1}, {Sec: 1}}
			p.try(unix.Futimes(int(f.Fd()), times))
			p.close(f)
			p.mtime("f", 1, 0)
			p.perm("f", 0o444)
			p.content("f", "x")
		}},
		{name: "set-after-unsynced-writes", run: func(p *place) {
			// Late write-back must not undo the time.
			f := p.open("f", createRW, 0o644)
			p.write(f, pattern(500_000))
			p.utimes("f", 1, 1, 0)
			p.try(f.Sync())
			p.close(f)
			p.mtime("f", 1, 0)
		}},
		{name: "kept-by-reading", run: func(p *place) {
			p.file("f", pattern(100_000))
			p.utimes("f", 1, 1, 0)
			p.content("f", pattern(100_000))
			p.mtime("f", 1, 0)
		}},
		{name: "kept-by-chmod-link-and-rename", run: func(p *place) {
			p.file("f", "x")
			p.utimes("f", 1, 1, 0)
			p.chmod("f", 0o444)
			p.link("f", "g")
			p.rename("f", "h")
			p.unlink("g")
			p.mtime("h", 1, 0)
		}},
		{name: "kept-by-opening-for-writing", run: func(p *place) {
			p.file("f", "x")
			p.utimes("f", 1, 1, 0)
			p.close(p.open("f", unix.O_RDWR, 0))
			p.mtime("f", 1, 0)
		}},
		{name: "now", run: func(p *place) {
			p.file("f", "x")
			p.utimes("f", 1, 1, 0)
			before := p.now()
			p.try(unix.Utimes(p.path("f"), nil))
			if got := p.lstat("f").mtime; got.Before(before) {
				p.Errorf("mtime: got %v, want %v or later", got, before)
			}
		}},
		{name: "missing", run: func(p *place) {
			times := []unix.Timespec{timespec(1, 0), timespec(1, 0)}
			p.refused("utimes", unix.UtimesNanoAt(unix.AT_FDCWD, p.path("none"), times, 0), unix.ENOENT)
		}},
		{name: "new-objects-are-of-now", run: func(p *place) {
			before := p.now()
			p.file("f", "x")
			p.mkdir("d")
			p.symlink("f", "s")
			p.try(unix.Mkfifo(p.path("p"), 0o644))
			for _, name := range []string{"f", "d", "s", "p"} {
				st := p.lstat(name)
				if st.mtime.Before(before) || st.ctime.Before(before) {
					p.Errorf("%s: got mtime %v and ctime %v, want %v or later", name, st.mtime, st.ctime, before)
				}
			}
		}},
	}
}

// changeCases say which calls advance which times. Each case sets mtimes to
// the past and waits until ctimes are the past.
func changeCases() []testCase {
	return append(parentCases(), []testCase{
		{name: "write", run: func(p *place) {
			p.file("f", "x")
			p.advances("f", true, func() { p.file("f", "changed") })
		}},
		{name: "append", run: func(p *place) {
			f := p.open("f", unix.O_CREAT|unix.O_APPEND|unix.O_WRONLY, 0o644)
			p.advances("f", true, func() {
				p.write(f, "more")
				p.try(f.Sync())
			})
		}},
		{name: "truncate", run: func(p *place) {
			p.file("f", "text")
			p.advances("f", true, func() { p.try(os.Truncate(p.path("f"), 1)) })
		}},
		{name: "o-trunc", run: func(p *place) {
			p.file("f", "text")
			p.advances("f", true, func() { p.close(p.open("f", unix.O_WRONLY|unix.O_TRUNC, 0)) })
		}},
		{name: "chmod", run: func(p *place) {
			p.file("f", "x")
			p.advances("f", false, func() { p.chmod("f", 0o600) })
		}},
		{name: "chmod-directory", run: func(p *place) {
			p.mkdir("d")
			p.advances("d", false, func() { p.chmod("d", 0o700) })
		}},
		{name: "utimes", run: func(p *place) {
			p.file("f", "x")
			p.advances("f", false, func() { p.utimes("f", 1, pastSeconds, 0) })
		}},
		{name: "link", run: func(p *place) {
			p.file("f", "x")
			p.advances("f", false, func() { p.link("f", "g") })
		}},
		{name: "unlink-of-a-link", run: func(p *place) {
			p.file("f", "x")
			p.link("f", "g")
			p.advances("f", false, func() { p.unlink("g") })
		}},
	}...)
}

// pastSeconds is a time before every test.
const pastSeconds = 1_000_000_000

// advances checks that a change advances an object's ctime, and its mtime or not.
func (p *place) advances(name string, mtime bool, change func()) {
	p.Helper()
	p.utimes(name, pastSeconds, pastSeconds, 0)
	before := p.lstat(name)
	p.after(before.ctime)
	change()
	got := p.lstat(name)
	if !got.ctime.After(before.ctime) {
		p.Errorf("ctime of %q: got %v, want later than %v", name, got.ctime, before.ctime)
	}
	if moved := got.mtime.After(before.mtime); moved != mtime {
		p.Errorf("mtime of %q advanced: got %v (to %v), want %v", name, moved, got.mtime, mtime)
	}
}

// parentCases are the calls that change a directory.
func parentCases() []testCase {
	changes := []struct {
		name string
		call func(p *place) error
	}{
		{"create", func(p *place) error { return os.WriteFile(p.path("d/new"), nil, 0o644) }},
		{"mkdir", func(p *place) error { return unix.Mkdir(p.path("d/new"), 0o755) }},
		{"symlink", func(p *place) error { return unix.Symlink("x", p.path("d/new")) }},
		{"mkfifo", func(p *place) error { return unix.Mkfifo(p.path("d/new"), 0o644) }},
		{"link", func(p *place) error { return unix.Link(p.path("d/f"), p.path("d/new")) }},
		{"unlink", func(p *place) error { return unix.Unlink(p.path("d/f")) }},
		{"rmdir", func(p *place) error { return unix.Rmdir(p.path("d/sub")) }},
		{"rename-within", func(p *place) error { return unix.Rename(p.path("d/f"), p.path("d/new")) }},
		{"rename-over", func(p *place) error { return unix.Rename(p.path("d/f"), p.path("d/g")) }},
		{"rename-out", func(p *place) error { return unix.Rename(p.path("d/f"), p.path("new")) }},
		{"rename-in", func(p *place) error { return unix.Rename(p.path("f"), p.path("d/new")) }},
		{"rename-directory-out", func(p *place) error { return unix.Rename(p.path("d/sub"), p.path("new")) }},
	}
	var cases []testCase
	for _, c := range changes {
		cases = append(cases, testCase{name: "parent-of-" + c.name, run: func(p *place) {
			p.mkdir("d/sub")
			p.file("d/f", "x")
			p.file("d/g", "x")
			p.file("f", "x")
			p.advances("d", true, func() { p.try(c.call(p)) })
		}})
	}
	return cases
}
