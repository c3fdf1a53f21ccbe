package nfs

import (
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// READDIR and READDIRPLUS (RFC 1813 §3.3.16, §3.3.17).

const (
	// maxList bounds the results of one READDIR or READDIRPLUS in bytes. Apple's
	// client asks for as much as it reads at once, a MiB.
	maxList = 256 << 10

	// listHead is what comes before the entries: status, attributes, verifier.
	listHead = 4 + postOpSize + 8
	listTail = 4 + 4 // no more entries, eof

	entryHead = 4 + 8 + 4 // entry follows, fileid, length of the name
	entryTail = 8         // cookie
	plusTail  = postOpSize + 4 + 4 + handleSize
)

// listing is the room that entries have in a reply.
type listing struct {
	plus  bool
	bare  bool // no attributes and handles: the caller may not search the directory
	room  int  // for whole entries
	names int  // for what is no attribute or handle (dircount)
	taken bool
	full  bool
}

func decodeReaddir(q *request) {
	q.id = q.handle()
	q.cookie = q.d.Uint64()
	q.d.Uint64() // verifier: every cookie is good for ever
	q.max = q.d.Uint32()
	q.list = listing{room: listRoom(q.max), names: maxList}
}

func decodeReaddirplus(q *request) {
	q.id = q.handle()
	q.cookie = q.d.Uint64()
	q.d.Uint64()
	q.count, q.max = q.d.Uint32(), q.d.Uint32()
	q.list = listing{plus: true, room: listRoom(q.max), names: int(min(q.count, maxList))}
}

// listRoom is what remains for entries of READDIR3resok: the count does not
// cover the status.
func listRoom(count uint32) int {
	return int(min(count, maxList)) - (listHead - 4) - listTail
}

// runReaddir leaves room for the head and has the entries put behind it.
func runReaddir(q *request) (err error) {
	if q.list.room < 0 {
		return statusTooSmall
	}
	head := len(q.room(listHead))
	q.e.B = q.e.B[:q.at+head]
	q.eof, err = q.srv.fs.Readdir(q.caller, q.id, q.cookie, q.list.plus && !q.list.bare, &q.dirAttr, q.emit)
	if err == nil && q.list.full && !q.list.taken {
		return statusTooSmall
	}
	q.n = len(q.e.B)
	return err
}

// addEntry appends an entry if there is room for it. One is always taken that
// only dircount, a hint, would keep out.
func (q *request) addEntry(d *overlay.DirEntry) bool {
	l := &q.list
	size := entryHead + len(d.Name) + xdr.Pad(len(d.Name)) + entryTail
	names := size
	if l.plus {
		size += 8
		if d.Attr != nil {
			size += plusTail - 8
		}
	}
	if size > l.room || (l.taken && names > l.names) {
		l.full = true
		return false
	}
	l.room -= size
	l.names -= names
	l.taken = true
	q.putEntry(d)
	return true
}

func (q *request) putEntry(d *overlay.DirEntry) {
	q.e.Bool(true)
	q.e.Uint64(d.Fileid)
	q.e.Opaque(d.Name)
	q.e.Uint64(d.Cookie)
	if !q.list.plus {
		return
	}
	q.postOp(d.Attr != nil, d.Attr)
	q.e.Bool(d.Attr != nil)
	if d.Attr != nil {
		q.srv.handles.append(&q.e, d.Attr.ID)
	}
}

// okReaddir fills in the head and ends the list.
func okReaddir(q *request) {
	q.postOp(true, &q.dirAttr)
	q.e.Uint64(0) // the verifier never changes
	q.e.B = q.e.B[:q.n]
	q.e.Bool(false)
	q.e.Bool(q.eof)
}
