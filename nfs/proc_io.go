package nfs

import (
	"math"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// READ, WRITE and COMMIT (RFC 1813 §3.3.6, §3.3.7, §3.3.21).

const (
	maxIO = 1 << 20 // bytes in one READ or WRITE; what Linux and macOS take at most

	// readHead is what comes before a READ's data: status, attributes, count,
	// eof and the data's length.
	readHead = 4 + postOpSize + 12
)

func decodeRead(q *request) {
	q.id = q.handle()
	q.off = q.d.Uint64()
	q.count = min(q.d.Uint32(), maxIO)
}

// runRead reads to where the data belongs in the reply.
func runRead(q *request) (err error) {
	n := int(q.count)
	p := q.room(readHead + n + 3)[readHead:]
	off := min(q.off, math.MaxInt64-maxIO) // behind every end
	q.n, q.eof, err = q.srv.fs.Read(q.caller, q.id, p[:n], off, &q.attr)
	return err
}

// okRead puts what comes before the data and takes the data in.
func okRead(q *request) {
	q.postOp(true, &q.attr)
	q.e.Uint32(uint32(q.n))
	q.e.Bool(q.eof)
	q.e.Uint32(uint32(q.n))
	end := len(q.e.B) + q.n
	q.e.B = append(q.e.B[:end], make([]byte, xdr.Pad(q.n))...)
}

func decodeWrite(q *request) {
	q.id = q.handle()
	q.off = q.d.Uint64()
	q.count = q.d.Uint32()
	q.stable = overlay.Stability(q.d.Uint32())
	q.data = q.d.Opaque(maxRecord)
	if int(q.count) != len(q.data) || q.stable > overlay.FileSync {
		q.garbage()
	}
	// A server may write less than it was asked to.
	q.data = q.data[:min(len(q.data), maxIO)]
}

func runWrite(q *request) error {
	if q.stable != overlay.Unstable && !q.caller.MayBlock {
		return overlay.ErrWouldBlock
	}
	if q.off > math.MaxInt64-maxIO {
		return syscall.EFBIG
	}
	q.verifier = q.srv.verifier() // what is lost from now on can be this call's
	return q.srv.fs.Write(q.caller, q.id, q.data, q.off, q.stable, &q.w)
}

func okWrite(q *request) {
	q.wcc(&q.w)
	q.e.Uint32(uint32(len(q.data)))
	q.e.Uint32(uint32(q.stable))
	q.e.Uint64(q.verifier)
}

func decodeCommit(q *request) {
	q.id = q.handle()
	q.off = q.d.Uint64()
	q.count = q.d.Uint32()
}

func runCommit(q *request) error {
	return q.srv.fs.Commit(q.caller, q.id, q.off, uint64(q.count), &q.w)
}

func okCommit(q *request) {
	q.wcc(&q.w)
	q.e.Uint64(q.srv.verifier())
}
