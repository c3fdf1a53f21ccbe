package model

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// link is LINK.
type link struct{ of, at where }

func (o link) ours(s *served) answer {
	fh, err := s.find(o.of)
	if a := s.about(fh, err); a.err != nil { // what a kernel meets first
		return a
	}
	dir, name, err := s.in(o.at)
	if a := s.about(dir, err); a.err != nil {
		return a
	}
	r, err := s.Link(s.ctx, fh, dir, name)
	if err == nil {
		err = advanced(&r.Dir)
	} else {
		err = unchanged(err, &r.Dir)
	}
	return s.about(fh, err)
}

func (o link) theirs(k *kernel) answer {
	return k.on(o.of, func(fd int) error {
		dir, _ := o.at.split()
		to, err := k.open(dir)
		if err != nil {
			return err
		}
		unix.Close(to)
		if a, err := k.attr(fd); err != nil || a.typ == nfsclient.Dir {
			return unix.EPERM // the first of several reasons, to us
		}
		return k.in(o.at, func(dirfd int, name string) error {
			return unix.Linkat(unix.AT_FDCWD, procPath(fd), dirfd, name, unix.AT_SYMLINK_FOLLOW)
		})
	})
}

// rename is RENAME.
type rename struct{ from, to where }

func (o rename) ours(s *served) answer {
	from, name, err := s.in(o.from)
	if err != nil {
		return answer{err: err}
	}
	to, toName, err := s.in(o.to)
	if err != nil {
		a := s.about(from, nil) // which a kernel meets first
		if a.err == nil {
			if a.err = err; a.attr.typ != nfsclient.Dir {
				a.err = nfsclient.ErrNotDir
			}
		}
		return answer{err: a.err}
	}
	was, _ := s.Lookup(s.ctx, from, name)
	r, err := s.Rename(s.ctx, from, name, to, toName)
	if err != nil {
		return answer{err: unchanged(unchanged(err, &r.From), &r.To)}
	}
	is, err := s.Lookup(s.ctx, to, toName)
	if err == nil && is.FH != was.FH {
		return answer{err: fmt.Errorf("the handle is another after the rename")}
	}
	return s.about(is.FH, err)
}

func (o rename) theirs(k *kernel) answer {
	a := answer{}
	err := k.in(o.from, func(from int, name string) error {
		return k.in(o.to, func(to int, toName string) error {
			err := k.orAsBefore([]int{from, to}, func() error {
				return k.overEmpty(to, toName, func() error { return unix.Renameat(from, name, to, toName) })
			})
			if err != nil {
				return err
			}
			fd, err := unix.Openat(to, toName, pathFlags, 0)
			a = k.about(fd, err)
			unix.Close(fd)
			return nil
		})
	})
	if err != nil {
		return answer{err: classify(err)}
	}
	return a
}

// remove is REMOVE, or RMDIR.
type remove struct {
	at  where
	dir bool
}

func (o remove) ours(s *served) answer {
	dir, name, err := s.in(o.at)
	if err != nil {
		return answer{err: err}
	}
	call := s.Remove
	if o.dir {
		call = s.Rmdir
	}
	w, err := call(s.ctx, dir, name)
	if err == nil {
		return answer{err: advanced(&w)}
	}
	return answer{err: unchanged(err, &w)}
}

func (o remove) theirs(k *kernel) answer {
	return answer{err: classify(k.in(o.at, func(dirfd int, name string) error {
		if o.dir {
			return k.overEmpty(dirfd, name, func() error { return unix.Unlinkat(dirfd, name, unix.AT_REMOVEDIR) })
		}
		return unix.Unlinkat(dirfd, name, 0)
	}))}
}
