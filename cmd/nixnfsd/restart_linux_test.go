package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

var restarts = flag.Int("restarts", 20, "how often TestRestartUnderLoad restarts the server")

// longestPause is what no client may ever wait, on a machine however busy.
const longestPause = 5 * time.Second

// process is a store and the process that serves it.
type process struct {
	*testserver.Process
	t   testing.TB
	dir string // with the upper, the lower and the state
	log bytes.Buffer
}

// startProcess serves an upper over a lower until the test ends.
func startProcess(t testing.TB) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(p.dir, "lower"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.start("127.0.0.1:0")
	t.Cleanup(p.finish)
	return p
}

// start returns when the server is ready.
func (p *process) start(addr string) {
	p.t.Helper()
	cmd := exec.Command("nixnfsd", "serve", "--upper", "upper", "--lower", "lower", "--state", "state", "--listen", addr)
	cmd.Dir, cmd.Stderr = p.dir, &p.log
	var err error
	if p.Process, err = testserver.Start(cmd); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) finish() {
	if err := p.Stop(); err != nil {
		p.t.Errorf("the server ended with %v", err)
	}
	if p.t.Failed() {
		p.t.Logf("the server's log:\n%s", p.log.String())
	}
}

// restart has the program take over, and gives how long it says that clients waited.
func (p *process) restart(program string) (waited time.Duration, err error) {
	cmd := exec.Command(program, "restart", "--state", filepath.Join(p.dir, "state"))
	out, err := cmd.CombinedOutput()
	m := regexp.MustCompile(`; clients waited (\S+)\n$`).FindSubmatch(out)
	if err != nil || m == nil {
		return 0, fmt.Errorf("%w: %s", errors.Join(err, errors.New("restart")), out)
	}
	return time.ParseDuration(string(m[1]))
}

func (p *process) mustRestart(program string) time.Duration {
	p.t.Helper()
	waited, err := p.restart(program)
	if err != nil {
		p.t.Fatal(err)
	}
	return waited
}

func (p *process) descriptors() int {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(names)
}

// client connects, and fails the test when it has to do so again.
func (p *process) client() (*nfsclient.Client, nfsclient.FH) {
	p.t.Helper()
	c, err := nfsclient.Dial(p.t.Context(), p.Addr, nfsclient.Options{Cred: nfsclient.Self()})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	mnt, err := c.Mnt(p.t.Context(), "/nix")
	if err != nil {
		p.t.Fatal(err)
	}
	return c, mnt.FH
}

// load is what many workers do meanwhile.
type load struct {
	*nfsclient.Client
	ctx     context.Context
	calls   atomic.Int64
	longest atomic.Int64 // call, in nanoseconds
}

// worker makes files in a directory of its own, and holds each answer to what it has to be.
type worker struct {
	*load
	dir    nfsclient.FH
	random *rand.Rand
}

// startLoad has workers work over a connection until stop is called, which gives the
// first error.
func startLoad(p *process, workers int) (_ *load, stop func() error) {
	c, root := p.client()
	l := &load{Client: c, ctx: p.t.Context()}
	ctx, cancel := context.WithCancel(p.t.Context())
	errs := make(chan error, workers)
	base := filepath.Base(p.t.TempDir())
	for i := range workers {
		dir, err := c.Mkdir(l.ctx, root, fmt.Sprint("load-", base, "-", i), nfsclient.SetAttr{})
		if err != nil {
			p.t.Fatal(err)
		}
		w := &worker{l, *dir.FH, rand.New(rand.NewPCG(uint64(i), 1))}
		go func() { errs <- w.work(ctx) }()
	}
	return l, func() (err error) {
		cancel()
		for range workers {
			err = errors.Join(err, <-errs)
		}
		return err
	}
}

func (w *worker) work(ctx context.Context) error {
	for i := 0; ctx.Err() == nil; i++ {
		if err := w.file(fmt.Sprint("file-", i)); err != nil {
			return err
		}
	}
	return nil
}

// file is the life of a file.
func (w *worker) file(name string) error {
	data := w.bytes(1 + w.random.IntN(200_000))
	moved := name + ".moved"
	var fh nfsclient.FH
	for _, step := range []struct {
		what string
		do   func() (ok bool, err error)
	}{
		{"create", func() (bool, error) {
			r, err := w.Create(w.ctx, w.dir, name, nfsclient.Guarded, nfsclient.SetAttr{})
			if err == nil {
				fh = *r.FH
			}
			return true, err
		}},
		{"write", func() (bool, error) {
			r, err := w.Write(w.ctx, fh, 0, nfsclient.Unstable, data)
			return int(r.Count) == len(data), err
		}},
		{"commit", func() (bool, error) {
			_, err := w.Commit(w.ctx, fh, 0, 0)
			return true, err
		}},
		{"rename", func() (bool, error) {
			_, err := w.Rename(w.ctx, w.dir, name, w.dir, moved)
			return true, err
		}},
		{"look up", func() (bool, error) {
			r, err := w.Lookup(w.ctx, w.dir, moved)
			return r.FH == fh, err
		}},
		{"read", func() (bool, error) {
			r, err := w.Read(w.ctx, fh, 0, 1<<20)
			return bytes.Equal(r.Data, data), err
		}},
		{"list", func() (bool, error) {
			r, err := w.Readdirplus(w.ctx, nfsclient.ReaddirplusArgs{Dir: w.dir, Dircount: 4096, Maxcount: 32768})
			return len(r.Entries) == 3, err // ".", ".." and the file
		}},
		{"remove", func() (bool, error) {
			_, err := w.Remove(w.ctx, w.dir, moved)
			return true, err
		}},
		{"look after it", func() (bool, error) {
			_, err := w.Getattr(w.ctx, fh)
			return errors.Is(err, nfsclient.ErrStale), nil
		}},
	} {
		if err := w.step(step.do); err != nil {
			return fmt.Errorf("%s %s: %w", step.what, name, err)
		}
	}
	return nil
}

// step is one call.
func (w *worker) step(do func() (bool, error)) error {
	start := time.Now()
	ok, err := do()
	w.calls.Add(1)
	for d, longest := int64(time.Since(start)), w.longest.Load(); d > longest && !w.longest.CompareAndSwap(longest, d); {
		longest = w.longest.Load()
	}
	if err == nil && !ok {
		err = errors.New("another answer than it has to be")
	}
	return err
}

func (w *worker) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.random.Uint32())
	}
	return b
}

// startOrders gives the server one order after the other until stop is called.
func startOrders(p *process) (_ *atomic.Int64, stop func() error) {
	opts := dirOptions{state: filepath.Join(p.dir, "state")}
	ctx, cancel := context.WithCancel(p.t.Context())
	orders, done := new(atomic.Int64), make(chan error, 1)
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			var a layersAnswer
			err = opts.order(p.t.Context(), "GET", layersPath, &a)
			if err == nil && len(a.Layers) != 2 {
				err = fmt.Errorf("got %d layers", len(a.Layers))
			}
			orders.Add(1)
		}
		done <- err
	}()
	return orders, func() error {
		cancel()
		return <-done
	}
}

// Clients that work, and ones that are idle, notice nothing of restarts but a moment, and the
// server keeps nothing of its predecessors.
func TestRestartUnderLoad(t *testing.T) {
	p := startProcess(t)
	var idle []*nfsclient.Client
	for range 40 {
		c, _ := p.client()
		idle = append(idle, c)
	}
	pid := p.PID()
	orders, stopOrders := startOrders(p)
	load1, stop1 := startLoad(p, 6)
	load2, stop2 := startLoad(p, 6)
	p.mustRestart("nixnfsd")
	before := p.descriptors()
	var longest time.Duration
	for range *restarts - 1 {
		longest = max(longest, p.mustRestart("nixnfsd"))
	}
	if err := errors.Join(stop1(), stop2(), stopOrders()); err != nil {
		t.Error(err)
	}
	for _, c := range idle {
		if err := c.Null(t.Context()); err != nil {
			t.Error(err)
		}
	}
	slowest := time.Duration(max(load1.longest.Load(), load2.longest.Load()))
	t.Logf("%d restarts of process %d under %d calls and %d orders: clients waited %v at most, the slowest call took %v",
		*restarts, pid, load1.calls.Load()+load2.calls.Load(), orders.Load(), longest, slowest)
	if slowest > longestPause {
		t.Errorf("a call took %v", slowest)
	}
	if got := p.descriptors(); got > before+16 { // what is cached of files differs
		t.Errorf("%d descriptors after %d restarts, %d after the first", got, *restarts, before)
	}
}

// BenchmarkRestart tells how long clients that work wait, as they see it and by the server's
// account, and how long the slowest call takes without restarts.
func BenchmarkRestart(b *testing.B) {
	p := startProcess(b)
	load, stop := startLoad(p, 4)
	begun := load.calls.Load()
	testenv.Await(b, "clients work", func() bool { return load.calls.Load() > begun+2000 })
	without := load.longest.Swap(0)
	var longest, sum time.Duration
	for b.Loop() {
		waited := p.mustRestart("nixnfsd")
		longest, sum = max(longest, waited), sum+waited
	}
	b.ReportMetric(float64(without)/1e6, "ms-without")
	b.ReportMetric(float64(load.longest.Load())/1e6, "ms-slowest-call")
	b.ReportMetric(float64(longest)/1e6, "ms-longest")
	b.ReportMetric(float64(sum)/1e6/float64(b.N), "ms-mean")
	if err := stop(); err != nil {
		b.Error(err)
	}
}

// A call that has arrived in part is answered by the next server.
func TestRestartWithinACall(t *testing.T) {
	p := startProcess(t)
	c, root := p.client()
	file, err := c.Create(t.Context(), root, "file", nfsclient.Guarded, nfsclient.SetAttr{})
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("half of it "), 50_000)
	write := nfsclient.WriteArgs{FH: *file.FH, Count: uint32(len(data)), Data: data}
	call := oncrpc.AppendRecord(nil, nfsclient.Message(7, nfsclient.Self(), &write))
	cuts := []int{1, 3, 4, 100, 300_000, len(call) - 1}
	conns := make([]net.Conn, len(cuts))
	for i, cut := range cuts {
		if conns[i], err = net.Dial("tcp", p.Addr); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
		_ = conns[i].SetDeadline(time.Now().Add(time.Minute))
		if _, err := conns[i].Write(call[:cut]); err != nil {
			t.Fatal(err)
		}
	}
	p.mustRestart("nixnfsd")
	for i, cut := range cuts {
		if _, err := conns[i].Write(call[cut:]); err != nil {
			t.Fatal(err)
		}
	}
	p.mustRestart("nixnfsd")
	for i, cut := range cuts {
		reply, err := oncrpc.ReadRecord(conns[i], nil, 1<<20)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		d := &xdr.Decoder{B: reply}
		if r, err := oncrpc.DecodeReply(d); err != nil || r.XID != 7 || d.Uint32() != 0 {
			t.Errorf("cut at %d: got %+v, %v", cut, r, err)
		}
	}
	if r, err := c.Read(t.Context(), *file.FH, 0, uint32(len(data))); err != nil || !bytes.Equal(r.Data, data) {
		t.Errorf("read %d bytes, %v", len(r.Data), err)
	}
}
