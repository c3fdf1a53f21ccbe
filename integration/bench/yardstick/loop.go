package yardstick

import (
	"net"
	"slices"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

const (
	maxIO     = 1 << 20
	maxRecord = maxIO + 64<<10
	// flushSize is how many bytes of replies are joined into one write.
	flushSize = 128 << 10

	progMount = 100005
	procMnt   = 1
)

// answerer appends the results of one procedure, and reports whether there is such a one.
type answerer func(prog, proc uint32, d *xdr.Decoder, e *xdr.Encoder) bool

// memory lends the reader one block: a call is answered before the next is read.
type memory struct{ block []byte }

func (m *memory) Big() []byte {
	m.block = slices.Grow(m.block[:0], maxRecord)
	return m.block
}

// serve answers the calls of l's connections, each on its own goroutine.
func serve(l net.Listener, answer answerer) error {
	for {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer nc.Close()
			_ = serveConn(nc, answer) // the client has gone
		}()
	}
}

// serveConn answers all calls that have arrived before it waits for more.
func serveConn(nc net.Conn, answer answerer) error {
	in := oncrpc.NewReader(nc, &memory{}, maxRecord)
	var out xdr.Encoder
	for {
		rec, _, err := in.Next()
		if err != nil {
			return err
		}
		if rec != nil {
			reply(rec, &out, answer)
		}
		if len(out.B) >= flushSize || rec == nil && len(out.B) > 0 {
			if _, err := nc.Write(out.B); err != nil {
				return err
			}
			out.B = out.B[:0]
		}
		if rec == nil {
			if err := in.Fill(); err != nil {
				return err
			}
		}
	}
}

// reply appends the reply to one call.
func reply(rec []byte, out *xdr.Encoder, answer answerer) {
	var c oncrpc.Call
	d := xdr.Decoder{B: rec}
	oncrpc.DecodeCall(&d, &c)
	at := oncrpc.BeginRecord(out)
	oncrpc.AppendAccepted(out, c.XID, oncrpc.Success)
	results := len(out.B)
	if !answer(c.Prog, c.Proc, &d, out) {
		out.Patch32(results-4, uint32(oncrpc.ProcUnavail))
	}
	oncrpc.EndRecord(out, at)
}

// putMnt appends MNT's results: the root's handle.
func putMnt(e *xdr.Encoder) {
	e.Uint32(0)
	putHandle(e, 0)
	e.Uint32(1)
	e.Uint32(oncrpc.AuthSys)
}

func putHandle(e *xdr.Encoder, i uint64) {
	e.Uint32(handleSize)
	e.Uint64(i)
}
