package main

import (
	"bytes"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// sendMessage sends a message on a new connection, and gives the reply as it is.
func (p *process) sendMessage(msg []byte) []byte {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	var e xdr.Encoder
	at := oncrpc.BeginRecord(&e)
	e.B = append(e.B, msg...)
	oncrpc.EndRecord(&e, at)
	if _, err := c.Write(e.B); err != nil {
		p.t.Fatal(err)
	}
	reply, err := oncrpc.ReadRecord(c, nil, 1<<16)
	if err != nil {
		p.t.Fatal(err)
	}
	return reply
}

// A client whose reply was lost asks the next server, after kill -9 as after a restart.
func TestSentAgainToTheNextServer(t *testing.T) {
	p := startProcess(t)
	_, root := p.client()
	cred := oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: uint32(os.Getuid()), Named: true}
	var mkdir, rename, remove xdr.Encoder
	oncrpc.AppendCall(&mkdir, 1, nfsclient.NFSProgram, 3, nfsclient.ProcMkdir, &cred)
	(&nfsclient.MkdirArgs{Dir: root, Name: "a"}).Encode(&mkdir)
	oncrpc.AppendCall(&rename, 2, nfsclient.NFSProgram, 3, nfsclient.ProcRename, &cred)
	(&nfsclient.RenameArgs{FromDir: root, FromName: "a", ToDir: root, ToName: "b"}).Encode(&rename)
	oncrpc.AppendCall(&remove, 3, nfsclient.NFSProgram, 3, nfsclient.ProcRmdir, &cred)
	(&nfsclient.NameArgs{Dir: root, Name: "b"}).Encode(&remove)
	calls := [][]byte{mkdir.B, rename.B, remove.B}
	var want [][]byte
	for _, msg := range calls {
		want = append(want, p.sendMessage(msg))
	}
	again := func(after string) {
		for i, msg := range calls {
			if got := p.sendMessage(msg); !bytes.Equal(got, want[i]) {
				t.Errorf("after %s: got % x to call %d, want % x", after, got, i, want[i])
			}
		}
	}
	p.kill()
	p.start("--listen", p.addr)
	again("a kill")
	p.mustRestart("nixnfsd")
	again("a restart")
}
