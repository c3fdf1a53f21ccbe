package nfs

import (
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
)

// FuzzCall has the server answer anything: it may refuse it, but no more.
func FuzzCall(f *testing.F) {
	for proc, a := range goodArgs() {
		f.Add(nfsCall(1, proc, &owner, a))
	}
	for proc := range uint32(6) {
		f.Add(call(progMount, 3, proc, &root, new(args).str("/nix")))
	}
	log, entries := test.NewNullLogger()
	log.SetLevel(logrus.ErrorLevel)
	s := New(Options{FS: newFakeFS(), Key: testKey, Export: "/nix", Owner: 1000, Log: log})
	q := newRequest(s, "client")
	f.Fuzz(func(t *testing.T, msg []byte) {
		q.e.B = q.e.B[:0]
		if q.begin(msg) && q.route() && !q.answer(true) {
			t.Error("not answered")
		}
		if len(q.e.B) > 0 {
			parse(t, q.e.B[4:])
		}
		if e := entries.LastEntry(); e != nil {
			t.Errorf("panic: %v\n%v", e.Data[fieldErr], e.Data[fieldStack])
		}
	})
}
