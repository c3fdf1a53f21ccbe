package nfs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// callsOfEach are good arguments of every procedure that has any. The directory is
// there for the harm that they may do.
func callsOfEach(dir, file nfsclient.FH) []nfsclient.Args {
	all := nfsclient.SetAttr{
		Mode: new(uint32(0o644)), UID: new(uint32(1)), GID: new(uint32(1)), Size: new(uint64(1)),
		Atime: nfsclient.SetTime{How: nfsclient.ClientTime}, Mtime: nfsclient.SetTime{How: nfsclient.ClientTime},
	}
	handle := func(num uint32) nfsclient.Args { return &nfsclient.HandleArgs{P: nfsclient.NFSProc(num), FH: file} }
	name := func(num uint32) nfsclient.Args {
		return &nfsclient.NameArgs{P: nfsclient.NFSProc(num), Dir: dir, Name: "name"}
	}
	return []nfsclient.Args{
		handle(nfsclient.ProcGetattr),
		&nfsclient.SetattrArgs{FH: file, Attr: all, Guard: &nfsclient.Time{}},
		name(nfsclient.ProcLookup),
		&nfsclient.AccessArgs{FH: file, Access: 63},
		handle(nfsclient.ProcReadlink),
		&nfsclient.ReadArgs{FH: file, Count: 100},
		&nfsclient.WriteArgs{FH: file, Count: 5, Data: []byte("12345")},
		&nfsclient.CreateArgs{Dir: dir, Name: "name", Attr: all},
		&nfsclient.CreateArgs{Dir: dir, Name: "name", Mode: nfsclient.Exclusive},
		&nfsclient.MkdirArgs{Dir: dir, Name: "name", Attr: all},
		&nfsclient.SymlinkArgs{Dir: dir, Name: "name", Attr: all, Target: "target"},
		&nfsclient.MknodArgs{Dir: dir, Name: "name", Type: nfsclient.Chr, Attr: all, Major: 1, Minor: 3},
		&nfsclient.MknodArgs{Dir: dir, Name: "name", Type: nfsclient.FIFO, Attr: all},
		name(nfsclient.ProcRemove),
		name(nfsclient.ProcRmdir),
		&nfsclient.RenameArgs{FromDir: dir, FromName: "from", ToDir: dir, ToName: "to"},
		&nfsclient.LinkArgs{FH: file, Dir: dir, Name: "name"},
		&nfsclient.ReaddirArgs{Dir: dir, Count: 4096},
		&nfsclient.ReaddirplusArgs{Dir: dir, Dircount: 4096, Maxcount: 4096},
		handle(nfsclient.ProcFsstat),
		handle(nfsclient.ProcFsinfo),
		handle(nfsclient.ProcPathconf),
		&nfsclient.CommitArgs{FH: file, Count: 1},
		&nfsclient.PathArgs{P: nfsclient.MountProc(nfsclient.ProcMnt), Path: export},
		&nfsclient.PathArgs{P: nfsclient.MountProc(nfsclient.ProcUmnt), Path: export},
		&nfsclient.PathArgs{P: nfsclient.Proc{Prog: nfsclient.MountProgram, Vers: 1, Num: nfsclient.ProcUmnt}, Path: export},
	}
}

// TestTruncatedCalls: arguments cut anywhere are GARBAGE_ARGS, change nothing, and
// the connection goes on.
func TestTruncatedCalls(t *testing.T) {
	w := newWorld(t)
	dir := w.mkdir(w.root, "d")
	file := w.put(dir, "file", "content")
	before, attr := w.list(dir), w.attr(file)
	for _, args := range callsOfEach(dir, file) {
		var e xdr.Encoder
		args.Encode(&e)
		var ps []*nfsclient.Pending
		for n := range e.B {
			ps = append(ps, w.Go(args.Proc(), e.B[:n]))
		}
		for n, p := range ps {
			r, b, err := p.Wait(t.Context())
			w.must("wait", err)
			if !r.Accepted || r.Accept != oncrpc.GarbageArgs || len(b) != 0 {
				t.Errorf("%v cut to %d of %d bytes: got %+v and %d bytes, want GARBAGE_ARGS", args.Proc(), n, len(e.B), r, len(b))
			}
		}
	}
	w.same("entries", w.list(dir), before)
	w.same("the file", w.attr(file), attr)
}

// TestAbsurdCalls puts absurd numbers in the place of every word of every call: each
// is answered, and the connection goes on.
func TestAbsurdCalls(t *testing.T) {
	w := newWorld(t)
	dir := w.mkdir(w.root, "d")
	file := w.put(dir, "file", "content")
	for _, args := range callsOfEach(dir, file) {
		var e xdr.Encoder
		args.Encode(&e)
		var ps []*nfsclient.Pending
		for at := 0; at+4 <= len(e.B); at += 4 {
			for _, v := range []uint32{0, 65, 1 << 16, 1<<31 - 4, 1<<31 - 1, 1 << 31, 1<<32 - 4, 1<<32 - 1} {
				b := bytes.Clone(e.B)
				binary.BigEndian.PutUint32(b[at:], v)
				ps = append(ps, w.Go(args.Proc(), b))
			}
		}
		for _, p := range ps {
			r, b, err := p.Wait(t.Context())
			w.must(args.Proc().String(), err)
			if !r.Accepted || r.Accept != oncrpc.Success && r.Accept != oncrpc.GarbageArgs {
				t.Errorf("%v: got %+v", args.Proc(), r)
			}
			if len(b) >= 4 && binary.BigEndian.Uint32(b) == uint32(nfsclient.ErrServerFault) {
				t.Errorf("%v: SERVERFAULT", args.Proc())
			}
		}
	}
	w.must("afterwards", w.Null(t.Context()))
	w.attr(w.root)
}

// TestHostileStreams: what is no client's stream ends its own connection only.
func TestHostileStreams(t *testing.T) {
	w := newWorld(t)
	fragments := func(n int, b []byte) []byte {
		return bytes.Repeat(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...), n)
	}
	tt := []struct {
		name string
		b    []byte
	}{
		{"longest record", []byte{0xff, 0xff, 0xff, 0xff}},
		{"longest fragment", []byte{0x7f, 0xff, 0xff, 0xff}},
		{"fragments without end", fragments(64, make([]byte, 64<<10))},
		{"empty fragments without end", fragments(1<<20, nil)},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
		{"a reply", []byte{0x80, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0}},
		{"an empty record", []byte{0x80, 0, 0, 0}},
		{"half a header", []byte{0x80, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2}},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			nc, err := net.Dial("tcp", w.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.Write(tt.b) // fails when the server is faster with its close
			// Whatever the reason, nothing comes and the connection ends.
			if b, _ := io.ReadAll(nc); len(b) > 0 {
				t.Errorf("got %d bytes of reply", len(b))
			}
			w.must("the other connection", w.Null(t.Context()))
		})
	}
}

// TestLeavingClients: connections that end in the middle of calls leave no trace.
func TestLeavingClients(t *testing.T) {
	w := newWorld(t)
	fh := w.create(w.root, "f")
	for i := range 200 { // more than the server takes at once
		c := w.dial(nfsclient.Options{Cred: owner()})
		for range 20 {
			c.Queue(&nfsclient.ReadArgs{FH: fh, Count: 1 << 20})
			c.Queue(&nfsclient.CommitArgs{FH: fh})
		}
		c.Flush()
		if i%2 == 0 {
			w.must("null", c.Null(t.Context()))
		}
		c.Close()
	}
	w.must("afterwards", w.Null(t.Context()))
}

func TestFragmentedCalls(t *testing.T) {
	w := newWorld(t)
	fh := w.put(w.root, "f", "content")
	const pieces = 900 // a server need not take a record in more
	for _, size := range []int{1, 2, 3, 5, 31, 1000} {
		data := strings.Repeat("0123456789", pieces*size/10)
		c := w.dial(nfsclient.Options{Cred: owner(), Fragment: size})
		r, err := c.Write(t.Context(), fh, 0, nfsclient.Unstable, []byte(data))
		w.must("write", err)
		got, err := c.Read(t.Context(), fh, 0, 1<<20)
		w.must("read", err)
		if int(r.Count) != len(data) || !strings.HasPrefix(string(got.Data), data) {
			t.Errorf("fragments of %d: wrote %d of %d bytes", size, r.Count, len(data))
		}
		c.Close()
	}
}

// TestPipelining: thousands of calls in one write, each with its own right answer.
func TestPipelining(t *testing.T) {
	const files, calls = 50, 2000
	w := newWorld(t)
	var fhs []nfsclient.FH
	for i := range files {
		fhs = append(fhs, w.put(w.root, fmt.Sprint("f", i), strings.Repeat("x", i)))
	}
	getattrs, lookups, reads := [calls]*nfsclient.Pending{}, [calls]*nfsclient.Pending{}, [calls]*nfsclient.Pending{}
	for i := range calls {
		getattrs[i] = w.Queue(&nfsclient.HandleArgs{P: nfsclient.NFSProc(nfsclient.ProcGetattr), FH: fhs[i%files]})
		lookups[i] = w.Queue(&nfsclient.NameArgs{P: nfsclient.NFSProc(nfsclient.ProcLookup), Dir: w.root, Name: fmt.Sprint("f", i%files)})
		reads[i] = w.Queue(&nfsclient.ReadArgs{FH: fhs[i%files], Count: 1000})
	}
	w.Flush()
	for i := range calls {
		var a nfsclient.GetattrRes
		var l nfsclient.LookupRes
		var r nfsclient.ReadRes
		ctx := t.Context()
		w.must("calls", errors.Join(getattrs[i].Into(ctx, &a), lookups[i].Into(ctx, &l), reads[i].Into(ctx, &r)))
		if want := i % files; a.Attr.Size != uint64(want) || l.FH != fhs[want] || len(r.Data) != want {
			t.Fatalf("call %d: got size %d, handle %v, %d bytes, want those of file %d", i, a.Attr.Size, l.FH, len(r.Data), want)
		}
	}
}

// slowFS makes COMMIT and listings wait until open is closed.
type slowFS struct {
	nfs.FS
	waiting chan struct{} // gets one for each call that waits
	open    chan struct{}
}

func (s *slowFS) wait() {
	s.waiting <- struct{}{}
	<-s.open
}

func (s *slowFS) Commit(c overlay.Caller, id overlay.ID, off, count uint64, w *overlay.Change) error {
	s.wait()
	return s.FS.Commit(c, id, off, count, w)
}

func (s *slowFS) Readdir(c overlay.Caller, dir overlay.ID, cookie uint64, attrs bool, a *overlay.Attr, emit func(*overlay.DirEntry) bool) (bool, error) {
	if !c.MayBlock {
		return false, overlay.ErrWouldBlock
	}
	s.wait()
	return s.FS.Readdir(c, dir, cookie, attrs, a, emit)
}

func wrapped(t *testing.T, wrap func(nfs.FS) nfs.FS) *world {
	t.Helper()
	w := newWorld(t)
	w.wrap = wrap
	w.restart()
	return w
}

// TestSlowCallsHoldNothingUp: calls that came later are answered while slow ones wait.
func TestSlowCallsHoldNothingUp(t *testing.T) {
	const slow = 10
	s := &slowFS{waiting: make(chan struct{}, slow), open: make(chan struct{})}
	w := wrapped(t, func(fs nfs.FS) nfs.FS {
		s.FS = fs
		return s
	})
	fh := w.put(w.root, "f", "content")
	var ps []*nfsclient.Pending
	for i := range slow {
		if i%2 == 0 {
			ps = append(ps, w.Queue(&nfsclient.CommitArgs{FH: fh}))
		} else {
			ps = append(ps, w.Queue(readArgs(w.root, i%4 == 1, 0, 4096)))
		}
	}
	w.Flush()
	for range slow {
		<-s.waiting
	}
	for range 100 {
		w.attr(fh)
		w.lookup(w.root, "f")
		w.content(fh)
	}
	for i, p := range ps {
		select {
		case <-p.Done():
			t.Errorf("slow call %d was answered", i)
		default:
		}
	}
	close(s.open)
	for _, p := range ps {
		r, b, err := p.Wait(t.Context())
		w.must("slow call", err)
		if r.Accept != oncrpc.Success || binary.BigEndian.Uint32(b) != 0 {
			t.Errorf("slow call: %+v, status %x", r, b[:4])
		}
	}
}

// TestShutdownDrains: what was read is answered before the connection is closed.
func TestShutdownDrains(t *testing.T) {
	s := &slowFS{waiting: make(chan struct{}, 1), open: make(chan struct{})}
	w := wrapped(t, func(fs nfs.FS) nfs.FS {
		s.FS = fs
		return s
	})
	fh := w.put(w.root, "f", "content")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	w.must("listen", err)
	key, err := nfs.LoadKey(w.o.State)
	w.must("key", err)
	srv := nfs.New(nfs.Options{FS: s, Key: key, Export: export, Owner: owner().UID})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	c, err := nfsclient.Dial(t.Context(), ln.Addr().String(), nfsclient.Options{Cred: owner()})
	w.must("dial", err)
	defer c.Close()
	p := c.Start(&nfsclient.CommitArgs{FH: fh})
	<-s.waiting
	down := make(chan error, 1)
	go func() { down <- srv.Shutdown(context.WithoutCancel(t.Context())) }()
	if err := <-served; !errors.Is(err, nfs.ErrServerClosed) {
		t.Errorf("serve: %v", err)
	}
	select {
	case err := <-down:
		t.Fatalf("shutdown ended before the call: %v", err)
	default:
	}
	close(s.open)
	w.must("the call in progress", p.Into(t.Context(), &nfsclient.CommitRes{}))
	w.must("shutdown", <-down)
	<-c.Done()
}

// panicFS panics in GETATTR of all but the root.
type panicFS struct{ nfs.FS }

func (p panicFS) Getattr(id overlay.ID, a *overlay.Attr) error {
	if id != p.Root() {
		panic("deliberate")
	}
	return p.FS.Getattr(id, a)
}

func TestPanicEndsItsRequestOnly(t *testing.T) {
	w := wrapped(t, func(fs nfs.FS) nfs.FS { return panicFS{fs} })
	fh := w.create(w.root, "f")
	for range 10 {
		_, err := w.Getattr(t.Context(), fh)
		w.want("getattr", err, nfsclient.ErrServerFault)
		w.attr(w.root)
	}
	w.must("the connection", w.Err())
}

// TestRootsAndStrangers: uid 0 is served, since the kernel calls for others; other
// users are not, whatever they ask.
func TestRootsAndStrangers(t *testing.T) {
	w := newWorld(t)
	dir := w.mkdir(w.root, "d")
	file := w.put(dir, "file", "content")
	before := w.list(dir)
	_, err := w.As(nfsclient.AuthSys(0, 0)).Getattr(t.Context(), w.root)
	w.want("uid 0", err, nfsclient.OK)
	stranger, nobody := w.As(nfsclient.AuthSys(4711, 0, 0)), w.As(oncrpc.Cred{})
	for _, args := range callsOfEach(dir, file) {
		if args.Proc().Prog != nfsclient.NFSProgram {
			continue
		}
		r, b, err := stranger.Start(args).Wait(t.Context())
		w.must("stranger", err)
		if !r.Accepted || r.Accept != oncrpc.Success || nfsclient.Status(binary.BigEndian.Uint32(b)) != nfsclient.ErrAcces {
			t.Errorf("stranger: %v: got %+v, %x, want ACCES", args.Proc(), r, b)
		}
		r, _, err = nobody.Start(args).Wait(t.Context())
		w.must("nobody", err)
		if r.Accepted || r.Reject != oncrpc.AuthError || r.Auth != oncrpc.AuthTooWeak {
			t.Errorf("without credential: %v: got %+v, want AUTH_TOOWEAK", args.Proc(), r)
		}
	}
	w.same("entries", w.list(dir), before)
	if got := w.content(file); got != "content" {
		t.Errorf("got %q", got)
	}
}
