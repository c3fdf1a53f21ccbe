package model

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// write is WRITE.
type write struct {
	at     where
	off    int64
	data   string
	stable nfsclient.Stable
}

func (o write) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	r, err := s.Write(s.ctx, fh, uint64(o.off), o.stable, []byte(o.data))
	if err == nil && int(r.Count) != len(o.data) {
		err = fmt.Errorf("%d of %d bytes written", r.Count, len(o.data))
	}
	return s.about(fh, err)
}

func (o write) theirs(k *kernel) answer {
	return k.on(o.at, func(fd int) error {
		f, err := k.data(fd, unix.O_WRONLY)
		if err != nil {
			return err
		}
		defer unix.Close(f)
		_, err = unix.Pwrite(f, []byte(o.data), o.off)
		return err
	})
}

// data opens a file's data; of others there is none (RFC 1813 §3.3.6, §3.3.7).
func (k *kernel) data(fd, flags int) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return unix.Open(procPath(fd), flags|unix.O_CLOEXEC, 0)
	case unix.S_IFDIR:
		return -1, unix.EISDIR
	}
	return -1, unix.EINVAL
}

// read is READ, of all there is.
type read struct{ at where }

func (o read) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	data, err := s.readAll(fh)
	a := s.about(fh, err)
	a.data = data
	return a
}

func (o read) theirs(k *kernel) answer {
	data := ""
	a := k.on(o.at, func(fd int) (err error) {
		data, err = k.readAll(fd)
		return err
	})
	a.data = data
	return a
}

func (k *kernel) readAll(fd int) (string, error) {
	f, err := k.data(fd, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(f)
	var st unix.Stat_t
	if err := unix.Fstat(f, &st); err != nil {
		return "", err
	}
	b := make([]byte, st.Size+1)
	n, err := unix.Pread(f, b, 0)
	return string(b[:max(n, 0)]), err
}

// readlink is READLINK.
type readlink struct{ at where }

func (o readlink) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	r, err := s.Readlink(s.ctx, fh)
	return answer{err: err, data: r.Target}
}

func (o readlink) theirs(k *kernel) answer {
	target := ""
	a := k.on(o.at, func(fd int) error {
		b := make([]byte, 4096)
		n, err := unix.Readlinkat(fd, "", b)
		if err == unix.ENOENT {
			err = unix.EINVAL // of what is no link
		}
		target = string(b[:max(n, 0)])
		return err
	})
	return answer{err: a.err, data: target}
}

// list is READDIR, in pages of so many bytes.
type list struct {
	at    where
	bytes uint32
}

func (o list) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	names, err := s.list(fh, o.bytes)
	a := s.about(fh, err)
	a.list = names
	return a
}

func (o list) theirs(k *kernel) answer {
	fd, err := k.dir(o.at)
	if err != nil {
		return answer{err: classify(err)}
	}
	defer unix.Close(fd)
	names, err := k.list(fd)
	a := k.about(fd, err)
	a.list = names
	return a
}

// commit is COMMIT of the whole file.
type commit struct{ at where }

func (o commit) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	_, err = s.Commit(s.ctx, fh, 0, 0)
	return s.about(fh, err)
}

func (o commit) theirs(k *kernel) answer { return look(o).theirs(k) }
