package posixtest

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A status is what stat(2) tells, in the same types on every system.
type status struct {
	ino, nlink   uint64
	typ, perm    uint32 // of the mode
	uid, gid     uint32
	size         int64
	blocks       int64
	mtime, ctime time.Time
}

func newStatus(st *unix.Stat_t) status {
	mode := uint32(st.Mode)
	return status{
		ino: st.Ino, nlink: uint64(st.Nlink),
		typ: mode & unix.S_IFMT, perm: mode & 0o7777,
		uid: st.Uid, gid: st.Gid, size: st.Size, blocks: st.Blocks,
		mtime: time.Unix(st.Mtim.Unix()), ctime: time.Unix(st.Ctim.Unix()),
	}
}

// stat follows symlinks.
func (p *place) stat(name string) status {
	p.Helper()
	var st unix.Stat_t
	if err := unix.Stat(p.path(name), &st); err != nil {
		p.Fatalf("stat %s: %v", brief(name), err)
	}
	return newStatus(&st)
}

func (p *place) lstat(name string) status {
	p.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(p.path(name), &st); err != nil {
		p.Fatalf("lstat %s: %v", brief(name), err)
	}
	return newStatus(&st)
}

func (p *place) fstat(f *os.File) status {
	p.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		p.Fatalf("fstat: %v", err)
	}
	return newStatus(&st)
}

// perm checks the permission bits of an object.
func (p *place) perm(name string, want uint32) {
	p.Helper()
	if got := p.lstat(name).perm; got != want {
		p.Errorf("mode of %s: got %04o, want %04o", brief(name), got, want)
	}
}

// nlink checks how many names a file has.
func (p *place) nlink(name string, want uint64) {
	p.Helper()
	same(p, "nlink of "+name, p.lstat(name).nlink, want)
}
