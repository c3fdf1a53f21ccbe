package yardstick

import (
	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

func (s *server) getattr(n *node, _ *xdr.Decoder, e *xdr.Encoder) error {
	var st unix.Stat_t
	err := unix.Lstat(n.path, &st)
	putAttr(e, &st)
	return err
}

func (s *server) setattr(n *node, d *xdr.Decoder, e *xdr.Encoder) error {
	var st unix.Stat_t
	if err := unix.Lstat(n.path, &st); err != nil {
		return err
	}
	set := decodeSattr(d)
	if err := set.apply(n.path); err != nil {
		return err
	}
	putPre(e, &st)
	putPostOf(e, n.path)
	return nil
}

func (s *server) lookup(n *node, d *xdr.Decoder, e *xdr.Encoder) error {
	var st unix.Stat_t
	path := n.child(d)
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	putHandle(e, s.handle(path))
	putPost(e, &st)
	putPostOf(e, n.path)
	return nil
}

func (s *server) access(n *node, d *xdr.Decoder, e *xdr.Encoder) error {
	putPostOf(e, n.path)
	e.Uint32(d.Uint32())
	return nil
}
