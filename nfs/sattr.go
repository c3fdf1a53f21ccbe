package nfs

import (
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// sattr reads a sattr3 (RFC 1813 §2.6) into s.
func (q *request) sattr(s *overlay.SetAttr) {
	*s = overlay.SetAttr{}
	d := &q.d
	if s.SetMode = d.Bool(); s.SetMode {
		s.Mode = d.Uint32() & 0o7777
	}
	if s.SetUID = d.Bool(); s.SetUID {
		s.UID = d.Uint32()
	}
	if s.SetGID = d.Bool(); s.SetGID {
		s.GID = d.Uint32()
	}
	if s.SetSize = d.Bool(); s.SetSize {
		s.Size = d.Uint64()
	}
	s.SetAtime, s.Atime = q.setTime()
	s.SetMtime, s.Mtime = q.setTime()
}

func (q *request) setTime() (how overlay.SetTime, t overlay.Time) {
	switch n := q.d.Uint32(); n {
	case uint32(overlay.DontChange), uint32(overlay.ServerTime):
		return overlay.SetTime(n), t
	case uint32(overlay.ClientTime):
		return overlay.ClientTime, q.time()
	}
	q.garbage()
	return overlay.DontChange, t
}

func (q *request) time() overlay.Time {
	t, ok := decodeTime(&q.d)
	if !ok {
		q.refuse(statusInval)
	}
	return t
}

// guard reads a sattrguard3 (§3.3.2).
func (q *request) guard() {
	if !q.d.Bool() {
		return
	}
	q.guardTime = q.time()
	q.set.Guard = &q.guardTime
}

func (q *request) garbage() {
	if q.d.Err == nil {
		q.d.Err = xdr.ErrBad
	}
}
