package soak

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

const (
	// workers are as many clients, each with a directory and lower directories of its own.
	workers = 8
	// slots are the names that a worker's directory can have.
	slots = 30
	// maxFile bounds files in bytes.
	maxFile = 200_000
	// commitEach is how many files are written for each that is committed.
	commitEach = 20
	// answerTime bounds the wait for an answer.
	answerTime = time.Minute
)

// worker is a client and what it knows of its files.
type worker struct {
	*nfsclient.Client
	addr  string
	id    int
	rnd   *rand.Rand
	root  nfsclient.FH
	dir   nfsclient.FH
	known map[string][]byte // of dir
	below []*lower
	ctx   context.Context // of the present step
	doing string

	done map[string]int // steps
}

// lower is a directory that is in a lower layer at first.
type lower struct {
	dir   nfsclient.FH
	known map[string][]byte // nil: it was removed
}

func newWorker(addr string, id int) *worker {
	return &worker{addr: addr, id: id, rnd: rand.New(rand.NewPCG(uint64(id), 0)), known: map[string][]byte{}, done: map[string]int{}}
}

type step struct {
	name string
	do   func(*worker) error
}

var steps = []step{
	{"write", (*worker).write},
	{"write", (*worker).write},
	{"read", (*worker).read},
	{"read", (*worker).read},
	{"remove", (*worker).remove},
	{"rename", (*worker).rename},
	{"list", (*worker).list},
	{"attributes", (*worker).attributes},
	{"directory", (*worker).directory},
	{"lower read", (*worker).readLower},
	{"lower change", (*worker).changeLower},
	{"reconnect", (*worker).reconnect},
	{"leave in a call", (*worker).leaveInCall},
}

// work does steps until ctx ends.
func (w *worker) work(ctx context.Context) (err error) {
	for err == nil && ctx.Err() == nil {
		s := steps[w.rnd.IntN(len(steps))]
		w.doing = s.name
		w.done[s.name]++
		err = w.within(func() error { return s.do(w) })
	}
	w.Close()
	return err
}

func (w *worker) within(do func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	w.ctx = ctx
	return do()
}

func (w *worker) begin() error {
	if err := w.connect(); err != nil {
		return err
	}
	m, err := w.Mnt(w.ctx, "/nix")
	if err != nil {
		return err
	}
	w.root = m.FH
	r, err := w.Mkdir(w.ctx, w.root, fmt.Sprint("worker-", w.id), nfsclient.SetAttr{})
	if err != nil {
		return err
	}
	w.dir = *r.FH
	for d := w.id; d < lowerDirs; d += workers {
		found, err := w.Lookup(w.ctx, w.root, lowerDir(d))
		if err != nil {
			return err
		}
		l := &lower{found.FH, map[string][]byte{}}
		for f := range lowerFiles {
			l.known[fileName(f)] = content(lowerDir(d)+fileName(f), lowerSize)
		}
		w.below = append(w.below, l)
	}
	return w.touchAll()
}

// touchAll has every file be there and be used, so that the server knows them all.
func (w *worker) touchAll() error {
	for i := range slots {
		if err := w.writeSlot(fmt.Sprint("slot-", i)); err != nil {
			return err
		}
	}
	for _, l := range w.below {
		for name, data := range l.known {
			if err := w.holds(l.dir, name, data); err != nil {
				return err
			}
			if err := w.put(l.dir, name, data); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *worker) connect() error {
	c, err := nfsclient.Dial(w.ctx, w.addr, nfsclient.Options{Cred: nfsclient.Self()})
	if err == nil {
		w.Client = c
	}
	return err
}

// reconnect is a client's end and the start of another.
func (w *worker) reconnect() error {
	w.Close()
	return w.connect()
}

// leaveInCall is a client that ends in the middle of a call, beside this one.
func (w *worker) leaveInCall() error {
	nc, err := net.Dial("tcp", w.addr)
	if err != nil {
		return err
	}
	_, err = nc.Write([]byte("\x80\x00\x10\x00half a call"))
	return errors.Join(err, nc.Close())
}

func (w *worker) slot() string { return fmt.Sprint("slot-", w.rnd.IntN(slots)) }

// one gives a name that is there.
func (w *worker) one() (name string, ok bool) { return pick(w.rnd, w.known) }

func pick(rnd *rand.Rand, of map[string][]byte) (name string, ok bool) {
	if len(of) == 0 {
		return "", false
	}
	return slices.Sorted(maps.Keys(of))[rnd.IntN(len(of))], true
}

func (w *worker) write() error { return w.writeSlot(w.slot()) }

func (w *worker) writeSlot(name string) error {
	data := content(fmt.Sprint(name, w.rnd.Uint64()), w.rnd.IntN(maxFile))
	w.known[name] = data
	return w.put(w.dir, name, data)
}

// put makes a file, or another of it, and now and then has it stored.
func (w *worker) put(dir nfsclient.FH, name string, data []byte) error {
	none, mode := uint64(0), uint32(0o644)
	r, err := again(func() (nfsclient.CreateRes, error) {
		return w.Create(w.ctx, dir, name, nfsclient.Unchecked, nfsclient.SetAttr{Size: &none, Mode: &mode})
	})
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	for off := 0; off < len(data); off += 64 << 10 {
		if _, err := w.Write(w.ctx, *r.FH, uint64(off), nfsclient.Unstable, data[off:min(off+64<<10, len(data))]); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if w.rnd.IntN(commitEach) == 0 {
		_, err = w.Commit(w.ctx, *r.FH, 0, 0)
	}
	return err
}

// again makes a call until the server does not ask for patience.
func again[R any](call func() (R, error)) (R, error) {
	for {
		r, err := call()
		if !errors.Is(err, nfsclient.ErrJukebox) {
			return r, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *worker) read() error {
	name, ok := w.one()
	if !ok {
		return nil
	}
	return w.holds(w.dir, name, w.known[name])
}

func (w *worker) holds(dir nfsclient.FH, name string, want []byte) error {
	found, err := w.Lookup(w.ctx, dir, name)
	if err != nil {
		return fmt.Errorf("look up %s: %w", name, err)
	}
	r, err := w.Read(w.ctx, found.FH, 0, maxFile+1)
	if err == nil && string(r.Data) != string(want) {
		err = fmt.Errorf("%d bytes, %.30q, want %d bytes, %.30q", len(r.Data), r.Data, len(want), want)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

func (w *worker) remove() error {
	name, ok := w.one()
	if !ok {
		return nil
	}
	delete(w.known, name)
	_, err := w.Remove(w.ctx, w.dir, name)
	return err
}

func (w *worker) rename() error {
	from, ok := w.one()
	to := w.slot()
	if !ok || from == to {
		return nil
	}
	w.known[to] = w.known[from]
	delete(w.known, from)
	_, err := w.Rename(w.ctx, w.dir, from, w.dir, to)
	return err
}

func (w *worker) attributes() error {
	name, ok := w.one()
	if !ok {
		return nil
	}
	found, err := w.Lookup(w.ctx, w.dir, name)
	if err != nil {
		return err
	}
	mode := 0o600 | w.rnd.Uint32N(0o100)
	if _, err := w.Setattr(w.ctx, found.FH, nfsclient.SetAttr{Mode: &mode}, nil); err != nil {
		return err
	}
	a, err := w.Getattr(w.ctx, found.FH)
	if err == nil && (a.Mode != mode || a.Size != uint64(len(w.known[name]))) {
		err = fmt.Errorf("%s has mode %o and %d bytes, want %o and %d", name, a.Mode, a.Size, mode, len(w.known[name]))
	}
	return err
}

// list reads the directory in small pieces.
func (w *worker) list() error {
	var names []string
	a := nfsclient.ReaddirplusArgs{Dir: w.dir, Dircount: 1024, Maxcount: 4096}
	for eof := false; !eof; {
		r, err := w.Readdirplus(w.ctx, a)
		if err != nil {
			return err
		}
		for _, e := range r.Entries {
			if !strings.HasPrefix(e.Name, ".") {
				names = append(names, e.Name)
			}
			a.Cookie = e.Cookie
		}
		a.Verf, eof = r.Verf, r.EOF
	}
	slices.Sort(names)
	if want := slices.Sorted(maps.Keys(w.known)); !slices.Equal(names, want) {
		return fmt.Errorf("listed %q, want %q", names, want)
	}
	return nil
}

// directory makes a directory with what there is, and removes it.
func (w *worker) directory() error {
	r, err := w.Mkdir(w.ctx, w.root, fmt.Sprint("made-", w.id), nfsclient.SetAttr{})
	if err != nil {
		return err
	}
	dir := *r.FH
	if err := w.put(dir, "file", []byte("data")); err != nil {
		return err
	}
	found, err := w.Lookup(w.ctx, dir, "file")
	if err != nil {
		return err
	}
	_, linked := w.Link(w.ctx, found.FH, dir, "link")
	_, made := w.Symlink(w.ctx, dir, "symlink", "file", nfsclient.SetAttr{})
	err = errors.Join(linked, made)
	for _, name := range []string{"file", "link", "symlink"} {
		_, removed := w.Remove(w.ctx, dir, name)
		err = errors.Join(err, removed)
	}
	_, removed := w.Rmdir(w.ctx, w.root, fmt.Sprint("made-", w.id))
	return errors.Join(err, removed)
}

func (w *worker) oneBelow() *lower { return w.below[w.rnd.IntN(len(w.below))] }

func (w *worker) readLower() error {
	l := w.oneBelow()
	name, ok := pick(w.rnd, l.known)
	if !ok {
		return nil
	}
	return w.holds(l.dir, name, l.known[name])
}

// changeLower writes a file that is in the lower layer, or was, or removes it.
func (w *worker) changeLower() error {
	l, name := w.oneBelow(), fileName(w.rnd.IntN(lowerFiles))
	if l.known[name] != nil && w.rnd.IntN(2) == 0 {
		delete(l.known, name)
		_, err := w.Remove(w.ctx, l.dir, name)
		return err
	}
	l.known[name] = content(fmt.Sprint(name, w.rnd.Uint64()), lowerSize)
	return w.put(l.dir, name, l.known[name])
}
