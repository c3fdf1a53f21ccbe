package posixtest

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// now returns the time by the file system's own clock, which may be coarse,
// and on another machine.
func (p *place) now() time.Time {
	p.Helper()
	name := p.dir + ".clock"
	p.try(os.WriteFile(name, nil, 0o600))
	var st unix.Stat_t
	p.try(unix.Chmod(name, 0o600))
	p.try(unix.Stat(name, &st))
	p.try(os.Remove(name))
	return newStatus(&st).ctime
}

// after returns when the file system's clock shows a later time.
func (p *place) after(before time.Time) {
	p.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !p.now().After(before) {
		if time.Now().After(deadline) {
			p.Fatalf("the clock still shows %v", before)
		}
	}
}

// utimes sets the times of a file, both with the same nanoseconds.
func (p *place) utimes(name string, atime, mtime, nsec int64) {
	p.Helper()
	p.utimesAt(unix.AT_FDCWD, p.path(name), atime, mtime, nsec, 0)
}

// lutimes sets the times of a symlink itself.
func (p *place) lutimes(name string, atime, mtime, nsec int64) {
	p.Helper()
	p.utimesAt(unix.AT_FDCWD, p.path(name), atime, mtime, nsec, unix.AT_SYMLINK_NOFOLLOW)
}

func (p *place) utimesAt(fd int, name string, atime, mtime, nsec int64, flags int) {
	p.Helper()
	times := []unix.Timespec{timespec(atime, nsec), timespec(mtime, nsec)}
	p.try(unix.UtimesNanoAt(fd, name, times, flags))
}

func timespec(sec, nsec int64) unix.Timespec {
	return unix.NsecToTimespec(sec*1e9 + nsec)
}

// mtime checks a modification time.
func (p *place) mtime(name string, sec, nsec int64) {
	p.Helper()
	if got, want := p.lstat(name).mtime, time.Unix(sec, nsec); !got.Equal(want) {
		p.Errorf("mtime of %s: got %v, want %v", name, got, want)
	}
}
