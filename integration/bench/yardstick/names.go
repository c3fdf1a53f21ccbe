package yardstick

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

func (s *server) create(n *node, d *xdr.Decoder, e *xdr.Encoder) error {
	path := n.child(d)
	d.Uint32() // UNCHECKED
	return s.make(n, path, d, e, func(mode uint32, st *unix.Stat_t) error {
		fd, err := unix.Open(path, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, mode)
		if err != nil {
			return err
		}
		s.keep(s.nodes[s.handle(path)], fd)
		return unix.Fstat(fd, st)
	})
}

func (s *server) mkdir(n *node, d *xdr.Decoder, e *xdr.Encoder) error {
	path := n.child(d)
	return s.make(n, path, d, e, func(mode uint32, st *unix.Stat_t) error {
		if err := unix.Mkdir(path, mode); err != nil {
			return err
		}
		return unix.Lstat(path, st)
	})
}

// make makes something, and appends the results.
func (s *server) make(n *node, path string, d *xdr.Decoder, e *xdr.Encoder, do func(uint32, *unix.Stat_t) error) error {
	var dir, st unix.Stat_t
	if err := unix.Lstat(n.path, &dir); err != nil {
		return err
	}
	mode := uint32(0o777)
	if set := decodeSattr(d); set.mode != nil {
		mode = uint32(*set.mode)
	}
	if err := do(mode, &st); err != nil {
		return err
	}
	e.Bool(true)
	putHandle(e, s.handle(path))
	putPost(e, &st)
	putPre(e, &dir)
	putPostOf(e, n.path)
	return nil
}

func (s *server) remove(n *node, d *xdr.Decoder, e *xdr.Encoder) error {
	return s.unlink(n, n.child(d), e, unix.Unlink)
}

func (s *server) rmdir(n *node, d *xdr.Decoder, e *xdr.Encoder) error {
	return s.unlink(n, n.child(d), e, unix.Rmdir)
}

func (s *server) unlink(n *node, path string, e *xdr.Encoder, do func(string) error) error {
	var dir unix.Stat_t
	if err := unix.Lstat(n.path, &dir); err != nil {
		return err
	}
	if err := do(path); err != nil {
		return err
	}
	s.forget(path)
	putPre(e, &dir)
	putPostOf(e, n.path)
	return nil
}

// entrySize is what an entry takes beside its name, and the end of the list.
const entrySize = 4 + 8 + 4 + 8 + 4 + fattrSize + 4 + 4 + handleSize + 8

// readdirplus reads the names once, on the first page. A cookie is a place among them.
func (s *server) readdirplus(n *node, d *xdr.Decoder, e *xdr.Encoder) error {
	cookie := int(d.Uint64())
	d.Uint64()
	d.Uint32()
	limit := len(e.B) + int(d.Uint32())
	if cookie == 0 {
		if err := n.readNames(); err != nil {
			return err
		}
	}
	putPostOf(e, n.path)
	e.Uint64(0)
	for cookie < len(n.list) && len(e.B)+entrySize+len(n.list[cookie])+4 < limit {
		s.putEntry(n, cookie, e)
		cookie++
	}
	e.Bool(false)
	e.Bool(cookie >= len(n.list))
	return nil
}

func (n *node) readNames() error {
	f, err := os.Open(n.path)
	if err != nil {
		return err
	}
	defer f.Close()
	n.list, err = f.Readdirnames(-1)
	return err
}

// putEntry appends an entry, unless it has gone meanwhile.
func (s *server) putEntry(n *node, i int, e *xdr.Encoder) {
	var st unix.Stat_t
	path := n.path + string(os.PathSeparator) + n.list[i]
	if unix.Lstat(path, &st) != nil {
		return
	}
	e.Bool(true)
	e.Uint64(st.Ino)
	e.String(n.list[i])
	e.Uint64(uint64(i + 1))
	putPost(e, &st)
	e.Bool(true)
	putHandle(e, s.handle(path))
}
