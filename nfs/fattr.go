package nfs

import (
	"encoding/binary"
	"math"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// ftype3 (RFC 1813 §2.6).
const (
	typeReg  = 1
	typeDir  = 2
	typeBlk  = 3
	typeChr  = 4
	typeLnk  = 5
	typeSock = 6
	typeFIFO = 7
)

const (
	fattrSize  = 84
	postOpSize = 4 + fattrSize
)

func ftype(mode uint32) uint32 {
	switch mode & overlay.ModeType {
	case overlay.ModeDir:
		return typeDir
	case overlay.ModeBlock:
		return typeBlk
	case overlay.ModeChar:
		return typeChr
	case overlay.ModeSymlink:
		return typeLnk
	case overlay.ModeSocket:
		return typeSock
	case overlay.ModeFIFO:
		return typeFIFO
	}
	return typeReg
}

// putFattr writes a fattr3 (RFC 1813 §2.6) to b.
func putFattr(b *[fattrSize]byte, a *overlay.Attr, fsid uint64) {
	be := binary.BigEndian
	be.PutUint32(b[0:], ftype(a.Mode))
	be.PutUint32(b[4:], a.Mode&0o7777)
	be.PutUint32(b[8:], a.Nlink)
	be.PutUint32(b[12:], a.UID)
	be.PutUint32(b[16:], a.GID)
	be.PutUint64(b[20:], a.Size)
	be.PutUint64(b[28:], a.Used)
	be.PutUint32(b[36:], a.Major)
	be.PutUint32(b[40:], a.Minor)
	be.PutUint64(b[44:], fsid)
	be.PutUint64(b[52:], a.ID.Fileid)
	putTime(b[60:], a.Atime)
	putTime(b[68:], a.Mtime)
	putTime(b[76:], a.Ctime)
}

// putTime writes an nfstime3. Its seconds are unsigned and 32 bits wide: times
// before 1970 and after 2106 become the nearest that can be said.
func putTime(b []byte, t overlay.Time) {
	if t.Sec < 0 {
		t = overlay.Time{}
	} else if t.Sec > math.MaxUint32 {
		t = overlay.Time{Sec: math.MaxUint32}
	}
	binary.BigEndian.PutUint32(b, uint32(t.Sec))
	binary.BigEndian.PutUint32(b[4:], t.Nsec)
}

// fattr appends a fattr3.
func (q *request) fattr(a *overlay.Attr) {
	var b [fattrSize]byte
	putFattr(&b, a, q.srv.fsid)
	q.e.B = append(q.e.B, b[:]...)
}

// postOp appends a post_op_attr.
func (q *request) postOp(has bool, a *overlay.Attr) {
	q.e.Bool(has)
	if has {
		q.fattr(a)
	}
}

// wcc appends a wcc_data.
func (q *request) wcc(w *overlay.Change) {
	q.e.Bool(w.HasPre)
	if w.HasPre {
		var b [16]byte
		putTime(b[:], w.Pre.Mtime)
		putTime(b[8:], w.Pre.Ctime)
		q.e.Uint64(w.Pre.Size)
		q.e.B = append(q.e.B, b[:]...)
	}
	q.postOp(w.HasPost, &w.Post)
}

// decodeTime reads an nfstime3; ok is false when it is none.
func decodeTime(d *xdr.Decoder) (t overlay.Time, ok bool) {
	t.Sec = int64(d.Uint32())
	t.Nsec = d.Uint32()
	return t, t.Nsec < 1e9
}
