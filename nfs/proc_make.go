package nfs

import "github.com/nixnfsd/nixnfsd/overlay"

// CREATE, MKDIR, SYMLINK and MKNOD (RFC 1813 §3.3.8 to §3.3.11).

func decodeCreate(q *request) {
	q.id = q.handle()
	q.name = q.filename(checkNew)
	q.how = overlay.CreateHow{Mode: overlay.CreateMode(q.d.Uint32())}
	switch q.how.Mode {
	case overlay.Unchecked, overlay.Guarded:
		q.sattr(&q.how.Attr)
	case overlay.Exclusive:
		copy(q.how.Verifier[:], q.d.Fixed(len(q.how.Verifier)))
	default:
		q.garbage()
	}
}

func runCreate(q *request) error {
	return q.srv.fs.Create(q.caller, q.id, q.name, &q.how, &q.attr, &q.w)
}

// okMade is the success of all four.
func okMade(q *request) {
	q.e.Bool(true)
	q.srv.handles.append(&q.e, q.attr.ID)
	q.postOp(true, &q.attr)
	q.wcc(&q.w)
}

func decodeMkdir(q *request) {
	q.id = q.handle()
	q.name = q.filename(checkNew)
	q.sattr(&q.set)
}

func runMkdir(q *request) error {
	return q.srv.fs.Mkdir(q.caller, q.id, q.name, &q.set, &q.attr, &q.w)
}

func decodeSymlink(q *request) {
	decodeMkdir(q)
	q.data = q.filename(checkTarget)
}

func runSymlink(q *request) error {
	return q.srv.fs.Symlink(q.caller, q.id, q.name, q.data, &q.set, &q.attr, &q.w)
}

func decodeMknod(q *request) {
	q.id = q.handle()
	q.name = q.filename(checkNew)
	typ := q.d.Uint32()
	q.set, q.major, q.minor = overlay.SetAttr{}, 0, 0
	switch typ {
	case typeChr, typeBlk:
		q.sattr(&q.set)
		q.major, q.minor = q.d.Uint32(), q.d.Uint32()
	case typeSock, typeFIFO:
		q.sattr(&q.set)
	default:
		q.refuse(statusBadType)
	}
	q.typ = specialModes[typ&7]
}

// specialModes are the modes of the ftype3 that MKNOD makes.
var specialModes = [8]uint32{
	typeChr:  overlay.ModeChar,
	typeBlk:  overlay.ModeBlock,
	typeSock: overlay.ModeSocket,
	typeFIFO: overlay.ModeFIFO,
}

func runMknod(q *request) error {
	return q.srv.fs.Mknod(q.caller, q.id, q.name, q.typ, q.major, q.minor, &q.set, &q.attr, &q.w)
}
