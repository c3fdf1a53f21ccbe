package nfs

// GETATTR, SETATTR, LOOKUP, ACCESS and READLINK (RFC 1813 §3.3.1 to §3.3.5).

func decodeHandle(q *request) { q.id = q.handle() }

func runGetattr(q *request) error { return q.srv.fs.Getattr(q.id, &q.attr) }

func okGetattr(q *request) { q.fattr(&q.attr) }

// putPostOp appends the object's post_op_attr to a failure. The file system is
// asked for it only here: failures are rare.
func putPostOp(q *request) {
	q.postOp(q.ran && q.srv.fs.Getattr(q.id, &q.attr) == nil, &q.attr)
}

func decodeSetattr(q *request) {
	q.id = q.handle()
	q.sattr(&q.set)
	q.guard()
}

func runSetattr(q *request) error {
	return q.srv.fs.Setattr(q.caller, q.id, &q.set, &q.w)
}

func putWcc(q *request) { q.wcc(&q.w) }

func decodeLookup(q *request) {
	q.id = q.handle()
	q.name = q.filename(checkName)
}

func runLookup(q *request) (err error) {
	q.hasAttr, err = q.srv.fs.Lookup(q.caller, q.id, q.name, &q.attr, &q.dirAttr)
	return err
}

func okLookup(q *request) {
	q.srv.handles.append(&q.e, q.attr.ID)
	q.postOp(true, &q.attr)
	q.postOp(q.hasAttr, &q.dirAttr)
}

func failLookup(q *request) { q.postOp(q.hasAttr, &q.dirAttr) }

func decodeAccess(q *request) {
	q.id = q.handle()
	q.mask = q.d.Uint32()
}

func okAccess(q *request) {
	q.postOp(true, &q.attr)
	bits := q.mask & allowed(&q.attr, &q.call.Cred)
	if q.stranger() {
		bits &= accessRead | accessLookup | accessExecute
	}
	q.e.Uint32(bits)
}

func runReadlink(q *request) (err error) {
	q.target, err = q.srv.fs.Readlink(q.id, q.target[:0], &q.attr)
	return err
}

func okReadlink(q *request) {
	q.postOp(true, &q.attr)
	q.e.Opaque(q.target)
}
