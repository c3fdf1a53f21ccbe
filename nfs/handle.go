package nfs

import (
	"encoding/binary"

	"github.com/dchest/siphash"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// A file handle (nfs_fh3, RFC 1813 §2.3.3) is a version, three zero bytes, the
// object's fileid and generation, and a SipHash-2-4 of all that under the
// server's key, which makes handles of objects that the server never showed
// impossible to guess.
const (
	handleSize    = 28
	handleVersion = 1
	handleBody    = handleSize - 8

	maxHandle = 64 // NFS3_FHSIZE
)

// handles makes handles and checks them.
type handles struct{ k0, k1 uint64 }

func newHandles(k Key) handles {
	return handles{binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])}
}

// append appends id's handle as an nfs_fh3.
func (h handles) append(e *xdr.Encoder, id overlay.ID) {
	e.Uint32(handleSize)
	at := len(e.B)
	e.Uint32(handleVersion << 24)
	e.Uint64(id.Fileid)
	e.Uint64(id.Gen)
	e.Uint64(siphash.Hash(h.k0, h.k1, e.B[at:]))
}

// parse gives the object that a handle names.
func (h handles) parse(b []byte) (id overlay.ID, ok bool) {
	if len(b) != handleSize || binary.BigEndian.Uint32(b) != handleVersion<<24 {
		return id, false
	}
	if siphash.Hash(h.k0, h.k1, b[:handleBody]) != binary.BigEndian.Uint64(b[handleBody:]) {
		return id, false
	}
	id.Fileid = binary.BigEndian.Uint64(b[4:])
	id.Gen = binary.BigEndian.Uint64(b[12:])
	return id, true
}

// fsid is the fsid of every object: it must not vary inside an export, and
// should outlive a restart.
func (h handles) fsid() uint64 { return siphash.Hash(h.k0, h.k1, []byte("fsid")) }
