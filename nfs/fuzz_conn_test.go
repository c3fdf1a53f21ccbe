package nfs

import (
	"bytes"
	"net"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// FuzzConn sends a server any stream, in pieces of any size, which ends: it answers each call
// before what is none, once for each time that it was sent at most, and ends the
// connection then.
func FuzzConn(f *testing.F) {
	var all []byte
	for proc := range uint32(procCommit + 1) {
		msg := record(nfsCall(proc, proc, &owner, goodArgs()[proc]))
		all = append(all, msg...)
		f.Add(msg, []byte{byte(proc)})
	}
	f.Add(all, []byte{})
	f.Add(append(all, all...), []byte{7, 200})
	f.Add(append(record([]byte("no call")), all...), []byte{50})
	f.Add(append([]byte{0, 0, 0, 0}, all...), []byte{3})
	addr := serve(f, newServer(newFakeFS()))
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		want, whole := callsIn(stream)
		got := exchange(t, addr, stream, cuts)
		for xid, n := range got {
			if n > want[xid] {
				t.Errorf("xid %#x: %d calls and %d replies", xid, want[xid], n)
			}
			delete(want, xid)
		}
		if whole && len(want) > 0 {
			t.Errorf("not answered: %v", want)
		}
	})
}

// callsIn counts the calls of a stream by their xids. whole: there is nothing else in it,
// but perhaps the beginning of one. What is not is not read to its end, so that replies on
// their way are lost when the server closes the connection.
func callsIn(stream []byte) (calls map[uint32]int, whole bool) {
	calls = map[uint32]int{}
	for r := bytes.NewReader(stream); ; {
		left := r.Len()
		rec, err := oncrpc.ReadRecord(r, nil, maxRecord)
		if err != nil {
			return calls, left == 0 || r.Len() == 0
		}
		var c oncrpc.Call
		if !oncrpc.DecodeCall(&xdr.Decoder{B: rec}, &c) {
			return calls, false
		}
		calls[c.XID]++
	}
}

// exchange sends a stream and counts the replies by their xids.
func exchange(t *testing.T, addr string, stream, cuts []byte) map[uint32]int {
	t.Helper()
	c := dial(t, addr)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		sendCut(c, stream, cuts)
	}()
	got := map[uint32]int{}
	for {
		msg, err := oncrpc.ReadRecord(c, nil, maxRecord)
		if err != nil {
			break
		}
		r, _ := parse(t, msg)
		got[r.XID]++
	}
	c.Close()
	<-sent
	return got
}

// sendCut sends a stream in pieces of the sizes in cuts, and says that there is no more. A
// server that has hung up is not minded.
func sendCut(c net.Conn, stream, cuts []byte) {
	for i := 0; len(stream) > 0; i++ {
		n := len(stream)
		if len(cuts) > 0 {
			n = min(n, 1+int(cuts[i%len(cuts)]))
		}
		if _, err := c.Write(stream[:n]); err != nil {
			return
		}
		stream = stream[n:]
	}
	_ = c.(*net.TCPConn).CloseWrite()
}
