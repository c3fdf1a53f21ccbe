package overlay

import (
	"bytes"
	"encoding/binary"
)

// The journal's records.
const (
	recPlace  = 1 // an object has a name
	recUnname = 2 // it lost a name
	recGone   = 3 // it is gone
	recOrigin = 4 // an inode without marks had another ID before copy-up
)

// record is one entry of the journal. Of recOrigin, id is the inode found and
// other the ID that it stands for; else other is the directory of name, the zero ID
// standing for the index.
//
// In which layer a name is found is not recorded: a copy-up changes it, and the
// process can end between the two.
type record struct {
	op uint8
	// only says that the name is the only one: what older records say of the object does
	// not count any more.
	only bool
	typ  uint32
	// link is where the record before this one in its chain begins; 0: there is none.
	link  int64
	id    ID
	other ID
	name  []byte
}

const (
	// recordHead is a record without its name: length, op, flags, type, link, two IDs.
	recordHead = 2 + 1 + 1 + 4 + 8 + 4*8
	// maxRecord bounds a record, with the longest name and what fills it up.
	maxRecord = (recordHead + maxName + recordAlign - 1) &^ (recordAlign - 1)
	// recordAlign is what the beginning of each record is a multiple of.
	recordAlign = 8
	// flagOnly is record.only.
	flagOnly = 1
)

// append appends the record in its form on disk, and zeros up to where the next can begin.
func (r *record) append(b []byte) []byte {
	at := len(b)
	flags := byte(0)
	if r.only {
		flags = flagOnly
	}
	b = append(b, 0, 0, r.op, flags)
	b = binary.BigEndian.AppendUint32(b, r.typ)
	for _, v := range [...]uint64{uint64(r.link), r.id.Fileid, r.id.Gen, r.other.Fileid, r.other.Gen} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = append(b, r.name...)
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at))
	for (len(b)-at)%recordAlign != 0 {
		b = append(b, 0)
	}
	return b
}

// decodeRecord takes the first record off b; ok is false where there is none. The name is
// b's.
func decodeRecord(b []byte) (r record, rest []byte, ok bool) {
	if len(b) < recordHead {
		return r, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if n < recordHead || n > len(b) || n > recordHead+maxName {
		return r, nil, false
	}
	r.op, r.only, r.typ = b[2], b[3]&flagOnly != 0, binary.BigEndian.Uint32(b[4:])
	r.link = int64(binary.BigEndian.Uint64(b[8:]))
	r.id = ID{binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])}
	r.other = ID{binary.BigEndian.Uint64(b[32:]), binary.BigEndian.Uint64(b[40:])}
	r.name = b[recordHead:n]
	return r, b[min(aligned(n), len(b)):], r.sound()
}

// aligned is where the record after one of n bytes can begin.
func aligned(n int) int { return (n + recordAlign - 1) &^ (recordAlign - 1) }

// sound reports whether a record can have been written by a server.
func (r *record) sound() bool {
	named := r.op == recPlace || r.op == recUnname
	return r.op != 0 && r.op <= recOrigin && named == (len(r.name) > 0) &&
		bytes.IndexByte(r.name, '/') < 0 && bytes.IndexByte(r.name, 0) < 0
}
