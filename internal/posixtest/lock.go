package posixtest

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Lock type of a range, as fcntl(2) has it.
const (
	readLock  = int16(unix.F_RDLCK)
	writeLock = int16(unix.F_WRLCK)
	unlocked  = int16(unix.F_UNLCK)
)

func lockCases() []testCase {
	busy := syscall.EAGAIN.Error()
	return []testCase{
		{name: "flock-exclusive", run: func(p *place) {
			f, other := p.lockFile(), newLocker(p, "f")
			p.try(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
			same(p, "exclusive", other.ask("flock %d", unix.LOCK_EX|unix.LOCK_NB), busy)
			same(p, "shared", other.ask("flock %d", unix.LOCK_SH|unix.LOCK_NB), busy)
			p.try(unix.Flock(int(f.Fd()), unix.LOCK_UN))
			same(p, "after unlock", other.ask("flock %d", unix.LOCK_EX|unix.LOCK_NB), "ok")
			p.refused("ours", unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EAGAIN)
		}},
		{name: "flock-shared", run: func(p *place) {
			f, other := p.lockFileReadOnly(), newLocker(p, "f")
			p.try(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB))
			same(p, "shared", other.ask("flock %d", unix.LOCK_SH|unix.LOCK_NB), "ok")
			same(p, "exclusive", other.ask("flock %d", unix.LOCK_EX|unix.LOCK_NB), busy)
		}},
		{name: "flock-ends-with-the-process", run: func(p *place) {
			f, other := p.lockFile(), newLocker(p, "f")
			same(p, "exclusive", other.ask("flock %d", unix.LOCK_EX), "ok")
			p.refused("ours", unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EAGAIN)
			other.stop()
			p.try(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
		}},
		{name: "flock-waits", run: func(p *place) {
			f, other := p.lockFile(), newLocker(p, "f")
			same(p, "exclusive", other.ask("flock %d", unix.LOCK_EX), "ok")
			got := make(chan error, 1)
			go func() { got <- flockWait(f) }()
			other.stop()
			p.try(<-got)
		}},
		{name: "flock-between-descriptors", run: func(p *place) {
			a, b := p.lockFile(), p.open("f", unix.O_RDWR, 0)
			p.try(unix.Flock(int(a.Fd()), unix.LOCK_EX|unix.LOCK_NB))
			p.refused("second descriptor", unix.Flock(int(b.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EAGAIN)
			p.close(a)
			p.try(unix.Flock(int(b.Fd()), unix.LOCK_EX|unix.LOCK_NB))
		}},
		{name: "flock-upgrade", run: func(p *place) {
			f, other := p.lockFile(), newLocker(p, "f")
			p.try(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB))
			p.try(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
			same(p, "shared", other.ask("flock %d", unix.LOCK_SH|unix.LOCK_NB), busy)
		}},
		{name: "read-of-a-locked-file", run: func(p *place) {
			f, other := p.lockFile(), newLocker(p, "f")
			p.try(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
			p.try(setLock(f, writeLock, 0, 0))
			same(p, "read", other.ask("read"), "ok")
		}},
		{name: "fcntl-whole-file", run: func(p *place) {
			f, other := p.lockFile(), newLocker(p, "f")
			p.try(setLock(f, writeLock, 0, 0))
			same(p, "write lock", other.ask("fcntl %d 0 0", writeLock), busy)
			same(p, "read lock", other.ask("fcntl %d 0 0", readLock), busy)
			p.try(setLock(f, unlocked, 0, 0))
			same(p, "after unlock", other.ask("fcntl %d 0 0", writeLock), "ok")
			p.refused("ours", setLock(f, writeLock, 0, 0), unix.EAGAIN, unix.EACCES)
		}},
		{name: "fcntl-ranges", run: func(p *place) {
			// SQLite locks single bytes behind 1 GiB of a file that is shorter.
			const pending = 1 << 30
			f, other := p.lockFile(), newLocker(p, "f")
			p.try(setLock(f, readLock, pending+2, 510))
			same(p, "same range, shared", other.ask("fcntl %d %d 510", readLock, pending+2), "ok")
			same(p, "pending byte", other.ask("fcntl %d %d 1", writeLock, pending), "ok")
			same(p, "same range, exclusive", other.ask("fcntl %d %d 510", writeLock, pending+2), busy)
			same(p, "behind it", other.ask("fcntl %d %d 1", writeLock, pending+512), "ok")
		}},
		{name: "fcntl-split", run: func(p *place) {
			f, other := p.lockFile(), newLocker(p, "f")
			p.try(setLock(f, writeLock, 0, 100))
			p.try(setLock(f, unlocked, 40, 20))
			for _, tt := range []struct {
				start int
				want  string
			}{{0, busy}, {39, busy}, {40, "ok"}, {59, "ok"}, {60, busy}, {99, busy}, {100, "ok"}} {
				same(p, "lock of a byte", other.ask("fcntl %d %d 1", writeLock, tt.start), tt.want)
			}
		}},
		{name: "fcntl-ends-with-the-process", run: func(p *place) {
			f, other := p.lockFile(), newLocker(p, "f")
			same(p, "write lock", other.ask("fcntl %d 0 0", writeLock), "ok")
			p.refused("ours", setLock(f, writeLock, 0, 0), unix.EAGAIN, unix.EACCES)
			other.stop()
			p.try(setLock(f, writeLock, 0, 0))
		}},
		{name: "fcntl-ends-with-any-close", run: func(p *place) {
			f, other := p.lockFile(), newLocker(p, "f")
			p.try(setLock(f, writeLock, 0, 0))
			p.close(p.open("f", unix.O_RDONLY, 0))
			same(p, "after a close", other.ask("fcntl %d 0 0", writeLock), "ok")
		}},
		{name: "fcntl-who-has-it", run: func(p *place) {
			f, other := p.lockFile(), newLocker(p, "f")
			same(p, "write lock", other.ask("fcntl %d 5 7", writeLock), "ok")
			lk := unix.Flock_t{Type: readLock}
			p.try(unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lk))
			same(p, "type", lk.Type, writeLock)
			same(p, "start", lk.Start, 5)
			same(p, "length", lk.Len, 7)
			same(p, "process", int(lk.Pid), other.cmd.Process.Pid)
		}},
		{name: "fcntl-write-lock-needs-writing", run: func(p *place) {
			err := setLock(p.lockFileReadOnly(), writeLock, 0, 0)
			p.refused("write lock", err, unix.EBADF)
		}},
		{name: "locked-file-is-unlinked", run: func(p *place) {
			// Nix's lock files: the holder unlinks, others see that by size or nlink.
			f, other := p.lockFile(), newLocker(p, "f")
			p.try(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
			p.unlink("f")
			p.write(f, "d")
			p.try(unix.Flock(int(f.Fd()), unix.LOCK_UN))
			same(p, "lock", other.ask("flock %d", unix.LOCK_EX|unix.LOCK_NB), "ok")
			p.gone("f")
		}},
	}
}

// lockFile makes and opens the file f to be locked.
func (p *place) lockFile() *os.File {
	p.Helper()
	p.file("f", "content")
	return p.open("f", unix.O_RDWR, 0)
}

// lockFileReadOnly makes f and opens it for reading.
func (p *place) lockFileReadOnly() *os.File {
	p.Helper()
	p.file("f", "content")
	return p.open("f", unix.O_RDONLY, 0)
}

// flockWait waits for an exclusive lock.
func flockWait(f *os.File) error {
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}
