package integration

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

var deaths = flag.Int("deaths", 20, "how often TestKilledAtAnyMoment kills the server")

const (
	stormClients   = 8
	callsPerDeath  = 40
	stormLowerSize = 1000 // files of each client's
)

// storm is a server that is killed again and again, with calls of many clients under way.
type storm struct {
	mortal
	root   nfsclient.FH
	calls  atomic.Int64
	again  atomic.Int64 // how often a call was sent again
	deaths atomic.Int64
	up     sync.RWMutex // held for writing while there is no server
}

// stormClient sends a call until it has a reply: the same bytes, with the same XID, as a
// kernel does.
type stormClient struct {
	*storm
	number uint32
	xid    uint32
	conn   net.Conn
}

// TestKilledAtAnyMoment: clients make, rename, link and remove, over a lower directory, and
// each call succeeds that has to, though the server is killed while it runs.
func TestKilledAtAnyMoment(t *testing.T) {
	s := &storm{mortal: mortal{t: t, dir: scene(t)}}
	for i := range stormClients {
		s.fillLower(i)
	}
	s.start("")
	s.root, _ = s.handles()
	var clients sync.WaitGroup
	for i := range stormClients {
		clients.Go(func() { (&stormClient{storm: s, number: uint32(i)}).run() })
	}
	clients.Wait()
	s.kill()
	t.Logf("%d kills, %d calls, %d sent again", s.deaths.Load(), s.calls.Load(), s.again.Load())
	if got, want := names(t, filepath.Join(s.dir, "upper")), "another-dir another-file dir file"; !t.Failed() && got != want+lowNames() {
		t.Errorf("got the names %s", got)
	}
}

func lowName(client uint32) string { return fmt.Sprint("low", client) }

// lowNames are the lower directories that were changed, and so are in the upper.
func lowNames() (s string) {
	for i := range uint32(stormClients) {
		s += " " + lowName(i)
	}
	return s
}

func (s *storm) fillLower(client int) {
	s.t.Helper()
	dir := filepath.Join(s.dir, "lower", lowName(uint32(client)))
	must(s.t, os.MkdirAll(dir, 0o755))
	for i := range stormLowerSize {
		must(s.t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644))
	}
}

// next kills the server, whatever it is doing, and starts another.
func (s *storm) next() {
	s.up.Lock()
	defer s.up.Unlock()
	s.kill()
	s.start("")
	s.deaths.Add(1)
}

func (c *stormClient) run() {
	defer c.close()
	d := c.ok(&nfsclient.NameArgs{P: nfsclient.NFSProc(nfsclient.ProcLookup), Dir: c.root, Name: lowName(c.number)})
	low := nfsclient.FH(d.Opaque(64))
	for round := 0; c.deaths.Load() < int64(*deaths) && !c.t.Failed(); round++ {
		c.work(c.root, fmt.Sprintf("%d-%d", c.number, round))
		if round < stormLowerSize {
			c.change(low, fmt.Sprint(round))
		}
	}
}

// work makes a directory, one of each kind of file in it, and removes all of it.
func (c *stormClient) work(root nfsclient.FH, name string) {
	dir := c.made(&nfsclient.MkdirArgs{Dir: root, Name: name})
	file := c.made(&nfsclient.CreateArgs{Dir: dir, Name: "a", Mode: nfsclient.Guarded})
	c.made(&nfsclient.CreateArgs{Dir: dir, Name: "b", Mode: nfsclient.Exclusive, Verf: nfsclient.Verf{byte(c.xid), byte(c.xid >> 8), 1}})
	c.made(&nfsclient.SymlinkArgs{Dir: dir, Name: "c", Target: "target"})
	c.ok(rename(dir, "a", "d"))
	c.ok(&nfsclient.LinkArgs{FH: file, Dir: dir, Name: "e"})
	c.ok(rename(dir, "b", "d"))
	c.ok(rename(root, name, name+"-renamed"))
	for _, name := range []string{"c", "d", "e"} {
		c.ok(remove(nfsclient.ProcRemove, dir, name))
	}
	c.ok(remove(nfsclient.ProcRmdir, root, name+"-renamed"))
}

// change renames and removes a file of a lower directory.
func (c *stormClient) change(dir nfsclient.FH, name string) {
	c.ok(rename(dir, name, "renamed-"+name))
	c.ok(remove(nfsclient.ProcRemove, dir, "renamed-"+name))
}

// ok makes a call that has to succeed, and gives its results.
func (c *stormClient) ok(a nfsclient.Args) *xdr.Decoder {
	for {
		d := &xdr.Decoder{B: c.call(a)}
		r, err := oncrpc.DecodeReply(d)
		st := nfsclient.Status(d.Uint32())
		if st == nfsclient.ErrJukebox {
			continue
		}
		if err != nil || r.Accept != oncrpc.Success || st != nfsclient.OK {
			c.t.Errorf("after %d kills: %T %+v: got %v, %v", c.deaths.Load(), a, a, st, err)
		}
		return d
	}
}

// made gives the handle of what a call makes.
func (c *stormClient) made(a nfsclient.Args) nfsclient.FH {
	d := c.ok(a)
	if has := d.Uint32(); has != 1 {
		c.t.Errorf("%T: got no handle", a)
	}
	return nfsclient.FH(d.Opaque(64))
}

// call gives the reply to a call. The server dies after so many.
func (c *stormClient) call(a nfsclient.Args) []byte {
	c.xid++
	msg := nfsclient.Message(c.number<<24|c.xid, nfsclient.Self(), a)
	reply := c.try(msg)
	for reply == nil && !c.t.Failed() {
		c.again.Add(1)
		reply = c.try(msg)
	}
	if c.calls.Add(1)%callsPerDeath == 0 {
		c.next()
	}
	return reply
}

// try gives no reply when the server dies.
func (c *stormClient) try(msg []byte) []byte {
	if c.conn == nil && !c.connect() {
		return nil
	}
	if _, err := c.conn.Write(oncrpc.AppendRecord(nil, msg)); err == nil {
		if reply, err := oncrpc.ReadRecord(c.conn, nil, 1<<16); err == nil {
			return reply
		}
	}
	c.close()
	return nil
}

func (c *stormClient) connect() bool {
	c.up.RLock()
	defer c.up.RUnlock()
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		c.t.Errorf("connect: %v", err)
		return false
	}
	must(c.t, conn.SetDeadline(time.Now().Add(5*time.Minute)))
	c.conn = conn
	return true
}

func (c *stormClient) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
