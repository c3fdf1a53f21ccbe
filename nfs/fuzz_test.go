package nfs

import (
	"encoding/binary"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// FuzzCall has the server answer anything. What it takes for arguments is what they say, what
// it answers is a reply to the call, whole and not too long, and what it refuses never gets
// to the file system.
func FuzzCall(f *testing.F) {
	for proc, a := range goodArgs() {
		f.Add(nfsCall(1, proc, &owner, a))
		f.Add(nfsCall(2, proc, &other, a))
	}
	for proc := range uint32(6) {
		f.Add(call(progMount, 3, proc, &root, new(args).str("/nix")))
	}
	log, entries := test.NewNullLogger()
	log.SetLevel(logrus.ErrorLevel)
	fake := newFakeFS()
	var asked []string
	fake.hook = func(op string, _ overlay.Caller) error {
		asked = append(asked, op)
		return nil
	}
	s := New(Options{FS: fake, Key: testKey, Export: "/nix", Owner: 1000, Log: log})
	f.Fuzz(func(t *testing.T, msg []byte) {
		asked = asked[:0]
		checkArgs(t, s, msg)
		q := newRequest(s, "client")
		if !q.begin(msg) {
			return
		}
		if q.route() && !q.answer(true) {
			t.Fatal("not answered")
		}
		served := checkAnswer(t, q, msg)
		if !served && len(asked) > 0 {
			t.Errorf("refused, and the file system was asked to %v", asked)
		}
		if e := entries.LastEntry(); e != nil {
			t.Fatalf("panic: %v\n%v", e.Data[fieldErr], e.Data[fieldStack])
		}
	})
}

// checkAnswer looks at the record that answers msg, and reports whether the file system may
// have been asked.
func checkAnswer(t *testing.T, q *request, msg []byte) (served bool) {
	t.Helper()
	reply := q.e.B[oncrpc.MarkSize:]
	if mark := binary.BigEndian.Uint32(q.e.B); mark != 1<<31|uint32(len(reply)) {
		t.Errorf("record mark %#x before %d bytes", mark, len(reply))
	}
	r, d := parse(t, reply)
	if r.XID != binary.BigEndian.Uint32(msg) {
		t.Errorf("xid %#x answers %#x", r.XID, msg[:4])
	}
	if !r.Accepted || r.Accept != oncrpc.Success {
		if d.Left() > 0 {
			t.Errorf("%+v has results: % x", r, d.B[d.Off:])
		}
		return false
	}
	if most := longest(q); d.Left() > most {
		t.Errorf("%s: %d bytes of results, want %d at most", q.proc.name, d.Left(), most)
	}
	p := nfsclient.Proc{Prog: q.call.Prog, Vers: nfsclient.MountVersion, Num: q.call.Proc}
	st := nfsclient.NewResults(p).Decode(d)
	if d.Err != nil || d.Left() > 0 {
		t.Errorf("%s, status %v: results % x: %v, %d bytes left", q.proc.name, st, d.B, d.Err, d.Left())
	}
	rootsAttributes := q.proc.is(anybodys) && q.id == q.srv.fs.Root()
	if q.err == nil && (q.proc.access == open || !q.stranger() || rootsAttributes) {
		return true
	}
	if st == nfsclient.OK && !q.proc.is(plain) {
		t.Errorf("%s is served though %v", q.proc.name, q.err)
	}
	return q.proc.access == open
}

// longest is how many bytes a call's results may have.
func longest(q *request) int {
	const small = 1 << 10
	switch q.proc.name {
	case "READ":
		return small + int(q.count)
	case "READDIR", "READDIRPLUS":
		return max(small, int(q.max)+4) // which does not cover the status
	}
	return small
}

// FuzzHandle reads anything as a file handle: one that is taken was made by the same key, and
// is not taken any more with any bit of it changed, longer, shorter, or under another key.
func FuzzHandle(f *testing.F) {
	for _, id := range []overlay.ID{{}, {Fileid: 1, Gen: 2}, {Fileid: 1<<63 | 5, Gen: 1 << 40}} {
		h := newHandles(testKey)
		f.Add(testKey[:], uint16(0), rawHandle(h, id), id.Fileid, id.Gen)
	}
	f.Add([]byte{}, uint16(77), []byte{1, 0, 0, 0}, uint64(3), uint64(4))
	f.Fuzz(func(t *testing.T, keyBytes []byte, flip uint16, b []byte, fileid, gen uint64) {
		var key Key
		copy(key[:], keyBytes)
		h := newHandles(key)
		if id, ok := h.parse(b); ok && string(rawHandle(h, id)) != string(b) {
			t.Errorf("% x is taken for % x", b, rawHandle(h, id))
		}
		id := overlay.ID{Fileid: fileid, Gen: gen}
		good := rawHandle(h, id)
		if got, ok := h.parse(good); !ok || got != id || len(good) > maxHandle {
			t.Errorf("%v is read as %v, %v", id, got, ok)
		}
		changed := append([]byte{}, good...)
		changed[int(flip)/8%len(good)] ^= 1 << (flip % 8)
		otherKey := key
		otherKey[int(flip)/8%len(key)] ^= 1 << (flip % 8)
		for what, bad := range map[string]func() (overlay.ID, bool){
			"bit changed": func() (overlay.ID, bool) { return h.parse(changed) },
			"longer":      func() (overlay.ID, bool) { return h.parse(append(good[:len(good):len(good)], b...)) },
			"shorter":     func() (overlay.ID, bool) { return h.parse(good[:int(flip)%len(good)]) },
			"another key": func() (overlay.ID, bool) { return newHandles(otherKey).parse(good) },
		} {
			if id, ok := bad(); ok && (what != "longer" || len(b) > 0) {
				t.Errorf("%s: taken for %v", what, id)
			}
		}
	})
}

func rawHandle(h handles, id overlay.ID) []byte {
	var e xdr.Encoder
	h.append(&e, id)
	return e.B[4:]
}
