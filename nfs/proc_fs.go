package nfs

// FSSTAT, FSINFO and PATHCONF (RFC 1813 §3.3.18 to §3.3.20).

const (
	// prefList is the listing size that clients are told to prefer; Apple's
	// takes it as the most it asks for.
	prefList = 64 << 10
	// multiple is what transfers are best a multiple of: a page.
	multiple = 4096
)

// The bits of FSINFO's properties.
const (
	fsfLink        = 0x01
	fsfSymlink     = 0x02
	fsfHomogeneous = 0x08
	fsfCanSetTime  = 0x10
)

func runStat(q *request) error {
	if err := q.srv.fs.Getattr(q.id, &q.attr); err != nil {
		return err
	}
	return q.srv.fs.Stat(&q.stat)
}

func okFsstat(q *request) {
	s := &q.stat
	q.postOp(true, &q.attr)
	for _, v := range [...]uint64{
		s.TotalBytes, s.FreeBytes, s.AvailBytes,
		s.TotalFiles, s.FreeFiles, s.AvailFiles,
	} {
		q.e.Uint64(v)
	}
	q.e.Uint32(0) // invarsec: it may change at any time
}

func okFsinfo(q *request) {
	q.postOp(true, &q.attr)
	for _, v := range [...]uint32{maxIO, maxIO, multiple, maxIO, maxIO, multiple, prefList} {
		q.e.Uint32(v)
	}
	q.e.Uint64(q.stat.MaxFileSize)
	q.e.Uint32(uint32(q.stat.TimeDelta.Sec))
	q.e.Uint32(q.stat.TimeDelta.Nsec)
	q.e.Uint32(q.properties())
}

// properties must say homogeneous, or Apple's client asks PATHCONF for each file.
func (q *request) properties() uint32 {
	p := uint32(fsfHomogeneous | fsfCanSetTime)
	if !q.stat.NoLinks {
		p |= fsfLink
	}
	if !q.stat.NoSymlinks {
		p |= fsfSymlink
	}
	return p
}

func okPathconf(q *request) {
	q.postOp(true, &q.attr)
	q.e.Uint32(q.stat.LinkMax)
	q.e.Uint32(min(q.stat.NameMax, maxName))
	q.e.Bool(true)  // no_trunc: long names are refused
	q.e.Bool(true)  // chown_restricted
	q.e.Bool(false) // case_insensitive
	q.e.Bool(true)  // case_preserving
}
