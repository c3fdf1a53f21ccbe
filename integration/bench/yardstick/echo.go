package yardstick

import (
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// ServeEcho answers MNT, LOOKUP, GETATTR and READ of a file that is not there, whatever
// its name. It says that it is size bytes long, and gives as many as it is asked for. Each
// MiB of them begins with its offset, as a little-endian number of 64 bits. It ends when l
// is closed.
func ServeEcho(l net.Listener, size int64) error {
	return serve(l, (&echo{st: unix.Stat_t{Mode: unix.S_IFREG | 0o644, Nlink: 1, Ino: 1, Size: size}}).answer)
}

type echo struct{ st unix.Stat_t }

func (x *echo) answer(prog, proc uint32, d *xdr.Decoder, e *xdr.Encoder) bool {
	if prog == progMount {
		putMnt(e)
		return proc == procMnt
	}
	d.Opaque(handleSize)
	e.Uint32(0)
	switch proc {
	case procGetattr:
		putAttr(e, &x.st)
	case procLookup:
		putHandle(e, 1)
		putPost(e, &x.st)
		e.Bool(false)
	case procRead:
		x.read(d.Uint64(), int(d.Uint32()), e)
	default:
		return false
	}
	return true
}

// read makes data up, or rather leaves what was in the memory before.
func (x *echo) read(off uint64, count int, e *xdr.Encoder) {
	n := min(count, maxIO)
	data := putReadHead(e, &x.st, n)
	if off%maxIO == 0 && n >= 8 {
		binary.LittleEndian.PutUint64(data, off)
	}
	putReadTail(e, &x.st, off, n)
}
