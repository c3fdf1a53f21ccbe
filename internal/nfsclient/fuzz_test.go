package nfsclient_test

import (
	"reflect"
	"runtime"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// FuzzResults has a server answer a call with anything, as whatever holds the port may do to
// `nixnfsd check`: what it says takes memory by its length, and not by what it claims.
func FuzzResults(f *testing.F) {
	for num := range uint32(nfsclient.ProcCommit + 1) {
		f.Add(num, make([]byte, 4))
		f.Add(num, make([]byte, 400))
		f.Add(num|mountBit, append(make([]byte, 7), 1, 0, 0, 0, 2, 'a', 'b', 0, 0))
	}
	f.Add(uint32(nfsclient.ProcReaddirplus), make([]byte, 100))
	f.Fuzz(func(t *testing.T, num uint32, b []byte) {
		p := nfsclient.NFSProc(num % 32)
		if num&mountBit != 0 {
			p = nfsclient.MountProc(num % 8)
		}
		var before, after runtime.MemStats
		d := xdr.Decoder{B: b}
		runtime.ReadMemStats(&before)
		res := nfsclient.NewResults(p)
		res.Decode(&d)
		runtime.ReadMemStats(&after)
		const perByte, always = 64, 16 << 10
		if took := after.TotalAlloc - before.TotalAlloc; took > always+perByte*uint64(len(b)) {
			t.Errorf("%v: %d bytes of results take %d of memory", p, len(b), took)
		}
		if d.Off > len(b) {
			t.Errorf("%v: read %d of %d bytes", p, d.Off, len(b))
		}
		again := nfsclient.NewResults(p)
		again.Decode(&xdr.Decoder{B: b[:d.Off]})
		if d.Err == nil && !reflect.DeepEqual(res, again) {
			t.Errorf("%v: %+v depends on what is behind it: %+v", p, res, again)
		}
		_, _ = oncrpc.DecodeReply(&xdr.Decoder{B: b})
	})
}

// mountBit has FuzzResults take a procedure of MOUNT.
const mountBit = 1 << 31
