package posixtest

import "golang.org/x/sys/unix"

// omitCases need utimensat(2) with its special values.
func omitCases() []testCase {
	return []testCase{
		{name: "omit-mtime", run: func(p *place) {
			p.file("f", "x")
			p.utimes("f", 5, 6, 7)
			p.utimensat("f", timespec(8, 9), unix.Timespec{Nsec: unix.UTIME_OMIT})
			p.mtime("f", 6, 7)
		}},
		{name: "omit-atime", run: func(p *place) {
			p.file("f", "x")
			p.utimes("f", 5, 6, 7)
			p.utimensat("f", unix.Timespec{Nsec: unix.UTIME_OMIT}, timespec(8, 9))
			p.mtime("f", 8, 9)
		}},
		{name: "omit-both", run: func(p *place) {
			p.file("f", "x")
			p.utimes("f", 5, 6, 7)
			p.utimensat("f", unix.Timespec{Nsec: unix.UTIME_OMIT}, unix.Timespec{Nsec: unix.UTIME_OMIT})
			p.mtime("f", 6, 7)
		}},
		{name: "now-for-mtime", run: func(p *place) {
			p.file("f", "x")
			p.utimes("f", 5, 6, 7)
			before := p.now()
			p.utimensat("f", unix.Timespec{Nsec: unix.UTIME_OMIT}, unix.Timespec{Nsec: unix.UTIME_NOW})
			if got := p.lstat("f").mtime; got.Before(before) {
				p.Errorf("mtime: got %v, want %v or later", got, before)
			}
		}},
		{name: "omit-on-symlink", run: func(p *place) {
			p.symlink("none", "s")
			p.lutimes("s", 5, 6, 7)
			p.utimensat("s", timespec(8, 9), unix.Timespec{Nsec: unix.UTIME_OMIT})
			p.mtime("s", 6, 7)
		}},
		{name: "bad-nanoseconds", run: func(p *place) {
			p.file("f", "x")
			times := []unix.Timespec{{Nsec: 1e9}, {Nsec: 0}}
			p.refused("utimensat", unix.UtimesNanoAt(unix.AT_FDCWD, p.path("f"), times, 0), unix.EINVAL)
		}},
		{name: "open-file-with-nanoseconds", run: func(p *place) {
			f := p.open("f", createNew, 0o600)
			p.write(f, "x")
			p.try(f.Chmod(0o444))
			p.utimesAt(int(f.Fd()), "", 1, 1, 5, unix.AT_EMPTY_PATH)
			p.close(f)
			p.mtime("f", 1, 5)
		}},
	}
}

func (p *place) utimensat(name string, atime, mtime unix.Timespec) {
	p.Helper()
	times := []unix.Timespec{atime, mtime}
	p.try(unix.UtimesNanoAt(unix.AT_FDCWD, p.path(name), times, unix.AT_SYMLINK_NOFOLLOW))
}
