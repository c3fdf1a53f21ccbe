package nfs

import (
	"reflect"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// decoded is what a call's arguments say.
type decoded struct {
	ID, ID2           overlay.ID
	Name, Name2, Data string
	Off, Cookie       uint64
	Count, Max, Mask  uint32
	Typ, Major, Minor uint32
	Stable            overlay.Stability
	How               overlay.CreateHow
	Set               overlay.SetAttr
	Guard             overlay.Time
}

// checkArgs: arguments that are understood, written down by the client's encoders, which
// others' are held against, have the same length and say the same.
func checkArgs(t *testing.T, s *Server, msg []byte) {
	t.Helper()
	q, n := decodeArgs(s, msg)
	if q == nil || q.d.Err != nil || q.err != nil {
		return
	}
	e := encodeArgs(q)
	again, m := decodeArgs(s, append(msg[:len(msg)-n:len(msg)-n], e.B...))
	if read := n - q.d.Left(); read != len(e.B) || m != len(e.B) || again.d.Err != nil || again.err != nil {
		t.Fatalf("%s: %d bytes are read, which are written as %d: %v, %v", q.proc.name, read, len(e.B), again.d.Err, again.err)
	}
	if got, want := summary(again), summary(q); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %+v is written as % x, which is %+v", q.proc.name, want, e.B, got)
	}
}

// decodeArgs gives a call with its arguments, which have n bytes; nil: it is not let in.
func decodeArgs(s *Server, msg []byte) (q *request, n int) {
	q = newRequest(s, "client")
	if !q.begin(msg) || !q.route() {
		return nil, 0
	}
	n = q.d.Left()
	q.proc.decode(q)
	return q, n
}

func summary(q *request) decoded {
	d := decoded{
		q.id, q.id2, string(q.name), string(q.name2), string(q.data), q.off, q.cookie, q.count, q.max, q.mask,
		q.typ, q.major, q.minor, q.stable, q.how, q.set, q.guardTime,
	}
	return d
}

// encodeArgs writes a call's arguments.
func encodeArgs(q *request) (e xdr.Encoder) {
	p := nfsclient.Proc{Prog: q.call.Prog, Vers: q.call.Vers, Num: q.call.Proc}
	a := nfsclient.NewArgs(p)
	v := reflect.ValueOf(a).Elem()
	dir, name := handleOf(q, q.id), string(q.name)
	if q.call.Proc == procLink {
		dir = handleOf(q, q.id2)
	}
	for field, value := range map[string]any{
		"FH": handleOf(q, q.id), "Dir": dir, "FromDir": dir, "ToDir": handleOf(q, q.id2),
		"Name": name, "FromName": name, "Path": name, "ToName": string(q.name2), "Target": string(q.data), "Data": q.data,
		"Offset": q.off, "Cookie": q.cookie, "Count": max(q.count, countOf(q)), "Dircount": q.count, "Maxcount": q.max, "Access": q.mask,
		"Stable": nfsclient.Stable(q.stable), "Mode": nfsclient.CreateMode(q.how.Mode), "Type": nfsclient.Type(ftype(q.typ)),
		"Major": q.major, "Minor": q.minor, "Verf": nfsclient.Verf(q.how.Verifier), "Attr": attrsOf(q), "Guard": guard(q),
	} {
		if f := v.FieldByName(field); f.IsValid() {
			f.Set(reflect.ValueOf(value))
		}
	}
	a.Encode(&e)
	return e
}

// countOf is READDIR's count.
func countOf(q *request) uint32 {
	if q.call.Prog == progNFS && q.call.Proc == procReaddir {
		return q.max
	}
	return 0
}

func handleOf(q *request, id overlay.ID) nfsclient.FH {
	var e xdr.Encoder
	q.srv.handles.append(&e, id)
	return nfsclient.FH(e.B[4:])
}

// attrs are the attributes that a call sets.
func attrsOf(q *request) (a nfsclient.SetAttr) {
	s := &q.set
	if q.call.Proc == procCreate {
		s = &q.how.Attr
	}
	for _, f := range []struct {
		set  bool
		to   **uint32
		from uint32
	}{{s.SetMode, &a.Mode, s.Mode}, {s.SetUID, &a.UID, s.UID}, {s.SetGID, &a.GID, s.GID}} {
		if f.set {
			*f.to = &f.from
		}
	}
	if s.SetSize {
		a.Size = &s.Size
	}
	a.Atime = nfsclient.SetTime{How: nfsclient.TimeHow(s.SetAtime), Time: clientTime(s.Atime)}
	a.Mtime = nfsclient.SetTime{How: nfsclient.TimeHow(s.SetMtime), Time: clientTime(s.Mtime)}
	return a
}

func guard(q *request) *nfsclient.Time {
	if q.set.Guard == nil {
		return nil
	}
	at := clientTime(*q.set.Guard)
	return &at
}

func clientTime(t overlay.Time) nfsclient.Time {
	return nfsclient.Time{Sec: uint32(t.Sec), Nsec: t.Nsec}
}
