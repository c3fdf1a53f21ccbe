package model

import (
	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// create is CREATE. An exclusive one is followed by the SETATTR that clients send.
type create struct {
	at   where
	how  nfsclient.CreateMode
	mode perm
	size int64 // -1: none is set
}

func (o create) ours(s *served) answer {
	dir, name, err := s.in(o.at)
	if err != nil {
		return answer{err: err}
	}
	if o.how == nfsclient.Exclusive {
		return o.exclusive(s, dir, name)
	}
	set := nfsclient.SetAttr{Mode: new(uint32(o.mode))}
	if o.size >= 0 {
		set.Size = new(uint64(o.size))
	}
	r, err := s.Create(s.ctx, dir, name, o.how, set)
	if err == nil && o.how == nfsclient.Unchecked {
		return s.about(*r.FH, nil) // it may have been there
	}
	return s.made(r, err)
}

func (o create) exclusive(s *served, dir nfsclient.FH, name string) answer {
	r, err := s.CreateExclusive(s.ctx, dir, name, nfsclient.Verf{1, 2, 3, 4, 5, 6, 7, 8})
	if a := s.made(r, err); a.err != nil {
		return a
	}
	now := nfsclient.SetTime{How: nfsclient.ServerTime}
	_, err = s.Setattr(s.ctx, *r.FH, nfsclient.SetAttr{Mode: new(uint32(o.mode)), Atime: now, Mtime: now}, nil)
	return s.about(*r.FH, err)
}

func (o create) theirs(k *kernel) answer {
	a := k.made(o.at, o.mode, func(dirfd int, name string) error {
		fd, err := unix.Openat(dirfd, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if o.how == nfsclient.Exclusive || o.size <= 0 {
			return nil
		}
		return unix.Ftruncate(fd, o.size)
	})
	if a.err != nfsclient.ErrExist || o.how != nfsclient.Unchecked {
		return a
	}
	return k.on(o.at, func(fd int) error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return unix.EEXIST
		}
		if o.size < 0 {
			return nil
		}
		return unix.Truncate(procPath(fd), o.size)
	})
}

// mkdir is MKDIR.
type mkdir struct {
	at   where
	mode perm
}

func (o mkdir) ours(s *served) answer {
	dir, name, err := s.in(o.at)
	if err != nil {
		return answer{err: err}
	}
	return s.made(s.Mkdir(s.ctx, dir, name, nfsclient.SetAttr{Mode: new(uint32(o.mode))}))
}

func (o mkdir) theirs(k *kernel) answer {
	return k.made(o.at, o.mode, func(dirfd int, name string) error { return unix.Mkdirat(dirfd, name, 0o700) })
}

// symlink is SYMLINK.
type symlink struct {
	at     where
	target string
}

func (o symlink) ours(s *served) answer {
	dir, name, err := s.in(o.at)
	if err != nil {
		return answer{err: err}
	}
	return s.made(s.Symlink(s.ctx, dir, name, o.target, nfsclient.SetAttr{}))
}

func (o symlink) theirs(k *kernel) answer {
	return k.made(o.at, asMade, func(dirfd int, name string) error { return unix.Symlinkat(o.target, dirfd, name) })
}

// mknod is MKNOD.
type mknod struct {
	at           where
	typ          nfsclient.Type
	mode         perm
	major, minor uint32
}

func (o mknod) ours(s *served) answer {
	dir, name, err := s.in(o.at)
	if err != nil {
		return answer{err: err}
	}
	return s.made(s.Mknod(s.ctx, nfsclient.MknodArgs{
		Dir: dir, Name: name, Type: o.typ, Attr: nfsclient.SetAttr{Mode: new(uint32(o.mode))}, Major: o.major, Minor: o.minor,
	}))
}

func (o mknod) theirs(k *kernel) answer {
	return k.made(o.at, o.mode, func(dirfd int, name string) error {
		for bits, typ := range types {
			if typ == o.typ {
				return unix.Mknodat(dirfd, name, bits|0o600, int(unix.Mkdev(o.major, o.minor)))
			}
		}
		return unix.EINVAL
	})
}
