package nfs

import (
	"bytes"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
)

const maxPath = 1024 // MNTPATHLEN (RFC 1813 §5.1.1)

func decodePath(q *request) {
	q.name = q.d.Opaque(maxString)
	if len(q.name) > maxPath {
		q.refuse(statusNameTooLong)
	}
}

// runMnt lets a client have the root. "/" is another name of the export.
func runMnt(q *request) error {
	if q.stranger() && !q.srv.shared {
		return statusAcces
	}
	path := string(bytes.TrimRight(q.name, "/"))
	if path != "" && path != strings.TrimRight(q.srv.export, "/") || len(q.name) == 0 {
		return statusNoEnt
	}
	return nil
}

// okMnt appends the root's handle and the flavors that are taken.
func okMnt(q *request) {
	q.srv.handles.append(&q.e, q.srv.fs.Root())
	q.e.Uint32(1)
	q.e.Uint32(oncrpc.AuthSys)
}

// okDump appends an empty list: who has mounted what is not kept, and so UMNT has nothing
// to do. A list is wrong from the first client on that goes away without a word, and those
// who would show it (showmount -a) ask a portmapper for the port, which there is not.
func okDump(q *request) { q.e.Bool(false) }

// okExport appends the one export, whose empty list of groups means everybody.
func okExport(q *request) {
	q.e.Bool(true)
	q.e.String(q.srv.export)
	q.e.Bool(false)
	q.e.Bool(false)
}
