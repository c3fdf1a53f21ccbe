package model

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// setattr is SETATTR. A negative number leaves its attribute alone.
type setattr struct {
	at             where
	mode, uid, gid int64
	size           int64
	atime, mtime   when
	guard          guard
}

// when is what becomes of a time.
type when struct {
	how nfsclient.TimeHow
	to  int64 // a number of a time in the past
}

func (w when) time() time.Time { return time.Unix(5e8+w.to*1000, w.to) }

// guard is whether SETATTR goes by the object's ctime.
type guard int

const (
	unguarded guard = iota
	rightGuard
	wrongGuard
)

func (o setattr) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "setattr %v", o.at)
	if o.mode >= 0 {
		fmt.Fprintf(&b, " mode %#o", o.mode)
	}
	fmt.Fprintf(&b, " uid %d gid %d size %d", o.uid, o.gid, o.size)
	for i, w := range []when{o.atime, o.mtime} {
		if w.how != nfsclient.DontChange {
			fmt.Fprintf(&b, " %s how %d %v", []string{"atime", "mtime"}[i], w.how, w.time().UTC())
		}
	}
	fmt.Fprintf(&b, " guard %d", o.guard)
	return b.String()
}

func optional(v int64) *uint32 {
	if v < 0 {
		return nil
	}
	return new(uint32(v))
}

func (w when) forNFS() nfsclient.SetTime {
	t := w.time()
	return nfsclient.SetTime{How: w.how, Time: nfsclient.Time{Sec: uint32(t.Unix()), Nsec: uint32(t.Nanosecond())}}
}

func (o setattr) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	set := nfsclient.SetAttr{
		Mode: optional(o.mode), UID: optional(o.uid), GID: optional(o.gid),
		Atime: o.atime.forNFS(), Mtime: o.mtime.forNFS(),
	}
	if o.size >= 0 {
		set.Size = new(uint64(o.size))
	}
	ctime, err := o.ctime(s, fh)
	if err != nil {
		return answer{err: err}
	}
	_, err = s.Setattr(s.ctx, fh, set, ctime)
	return s.about(fh, err)
}

// ctime gives the guard. A directory is listed first: its ctime is settled once the server
// has looked at all its layers.
func (o setattr) ctime(s *served, fh nfsclient.FH) (*nfsclient.Time, error) {
	if o.guard == unguarded {
		return nil, nil
	}
	if _, err := s.list(fh, 8192); err != nil && err != nfsclient.ErrNotDir {
		return nil, err
	}
	a, err := s.Getattr(s.ctx, fh)
	if o.guard == wrongGuard {
		a.Ctime.Sec--
	}
	return &a.Ctime, err
}

func (o setattr) theirs(k *kernel) answer {
	if o.guard == wrongGuard {
		a := k.on(o.at, func(int) error { return nil })
		if a.err == nil {
			return answer{err: nfsclient.ErrNotSync}
		}
		return a
	}
	return k.on(o.at, func(fd int) error {
		if o.size >= 0 {
			if err := k.truncate(fd, o.size); err != nil {
				return err
			}
		}
		if o.uid >= 0 || o.gid >= 0 {
			if err := unix.Fchownat(fd, "", int(o.uid), int(o.gid), unix.AT_EMPTY_PATH); err != nil {
				return err
			}
		}
		if o.mode >= 0 {
			if err := unix.Chmod(procPath(fd), uint32(o.mode)); err != nil {
				return err
			}
		}
		if o.atime.how == nfsclient.DontChange && o.mtime.how == nfsclient.DontChange {
			return nil
		}
		ts := []unix.Timespec{o.atime.forSystem(), o.mtime.forSystem()}
		return unix.UtimesNanoAt(unix.AT_FDCWD, procPath(fd), ts, 0)
	})
}

func (k *kernel) truncate(fd int, size int64) error {
	f, err := k.data(fd, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(f)
	return unix.Ftruncate(f, size)
}

func (w when) forSystem() unix.Timespec {
	switch w.how {
	case nfsclient.ServerTime:
		return unix.Timespec{Nsec: unix.UTIME_NOW}
	case nfsclient.ClientTime:
		return specTime(w.time())
	}
	return unix.Timespec{Nsec: unix.UTIME_OMIT}
}
