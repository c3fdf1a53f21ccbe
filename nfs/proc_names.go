package nfs

// REMOVE, RMDIR, RENAME and LINK (RFC 1813 §3.3.12 to §3.3.15).

func decodeRemove(q *request) {
	q.id = q.handle()
	q.name = q.filename(checkOld)
}

func runRemove(q *request) error {
	return q.srv.fs.Remove(q.caller, q.id, q.name, &q.w)
}

func runRmdir(q *request) error {
	return q.srv.fs.Rmdir(q.caller, q.id, q.name, &q.w)
}

func decodeRename(q *request) {
	q.id = q.handle()
	q.name = q.filename(checkOld)
	q.id2 = q.handle()
	q.name2 = q.filename(checkNew)
}

func runRename(q *request) error {
	return q.srv.fs.Rename(q.caller, q.id, q.name, q.id2, q.name2, &q.w, &q.w2)
}

// putWcc2 appends both directories' changes.
func putWcc2(q *request) {
	q.wcc(&q.w)
	q.wcc(&q.w2)
}

func decodeLink(q *request) {
	q.id = q.handle()
	q.id2 = q.handle()
	q.name = q.filename(checkNew)
}

func runLink(q *request) (err error) {
	q.hasAttr, err = q.srv.fs.Link(q.caller, q.id, q.id2, q.name, &q.attr, &q.w)
	return err
}

// putLink appends the object's attributes and the directory's change.
func putLink(q *request) {
	q.postOp(q.hasAttr, &q.attr)
	q.wcc(&q.w)
}
