package main

import (
	"bytes"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// A client whose reply was lost asks the next server, after kill -9 as after a restart.
func TestSentAgainToTheNextServer(t *testing.T) {
	p := startProcess(t)
	_, root := p.client()
	cred := nfsclient.Self()
	cred.Named = true // as Linux's client has it
	var calls, want [][]byte
	for i, args := range []nfsclient.Args{
		&nfsclient.MkdirArgs{Dir: root, Name: "a"},
		&nfsclient.RenameArgs{FromDir: root, FromName: "a", ToDir: root, ToName: "b"},
		&nfsclient.NameArgs{P: nfsclient.NFSProc(nfsclient.ProcRmdir), Dir: root, Name: "b"},
	} {
		calls = append(calls, nfsclient.Message(uint32(i), cred, args))
		want = append(want, testserver.Exchange(t, p.Addr, calls[i]))
	}
	again := func(after string) {
		for i, msg := range calls {
			if got := testserver.Exchange(t, p.Addr, msg); !bytes.Equal(got, want[i]) {
				t.Errorf("after %s: got % x to call %d, want % x", after, got, i, want[i])
			}
		}
	}
	p.Kill()
	p.start(p.Addr)
	again("a kill")
	p.mustRestart("nixnfsd")
	again("a restart")
}
