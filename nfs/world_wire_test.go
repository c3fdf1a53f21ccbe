package nfs_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// export is the path that the servers under test export.
const export = "/nix"

// world is a server on an overlay of real directories, and a client of it. Its
// methods end the test when something fails that is not what is tested.
type world struct {
	*nfsclient.Client // as the owner
	t                 *testing.T
	o                 overlay.Options
	wrap              func(nfs.FS) nfs.FS // when set, between server and overlay
	shareRead         bool
	addr              string
	root              nfsclient.FH
	stop              func()
}

// newWorld serves an empty directory.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	o := overlay.Options{Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work"), State: filepath.Join(dir, "state")}
	makeDirs(t, o.Upper, o.State)
	return startWorld(t, o)
}

func makeDirs(t *testing.T, dirs ...string) {
	t.Helper()
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// startWorld serves an overlay whose directories are there.
func startWorld(t *testing.T, o overlay.Options) *world {
	t.Helper()
	w := &world{t: t, o: o}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) start() {
	w.t.Helper()
	fs, err := overlay.Open(w.o)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := nfs.LoadKey(w.o.State)
	if err != nil {
		w.t.Fatal(err)
	}
	var served nfs.FS = fs
	if w.wrap != nil {
		served = w.wrap(fs)
	}
	srv := nfs.New(nfs.Options{FS: served, Key: key, Export: export, Owner: uint32(os.Getuid()), ShareRead: w.shareRead})
	stop := w.serve(srv)
	w.stop = func() {
		w.Close()
		stop()
		if err := fs.Close(); err != nil {
			w.t.Errorf("close the overlay: %v", err)
		}
	}
	w.Client = w.dial(nfsclient.Options{Cred: owner()})
	m, err := w.Mnt(w.t.Context(), export)
	if err != nil {
		w.t.Fatal(err)
	}
	w.root = m.FH
}

// serve starts srv on a free port, and gives what stops it.
func (w *world) serve(srv *nfs.Server) (stop func()) {
	w.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			w.t.Errorf("shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, nfs.ErrServerClosed) {
			w.t.Errorf("serve: got %v, want ErrServerClosed", err)
		}
	}
}

// restart stops the server and starts another on the same directories.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// dial makes one more connection.
func (w *world) dial(o nfsclient.Options) *nfsclient.Client {
	w.t.Helper()
	c, err := nfsclient.Dial(w.t.Context(), w.addr, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

func owner() oncrpc.Cred { return nfsclient.Self() }

// mode is a SetAttr that sets nothing else.
func mode(m uint32) nfsclient.SetAttr { return nfsclient.SetAttr{Mode: &m} }

// size is a SetAttr that sets nothing else.
func size(n uint64) nfsclient.SetAttr { return nfsclient.SetAttr{Size: &n} }

func (w *world) must(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// want compares a call's status. Several are several right answers.
func (w *world) want(what string, err error, want ...nfsclient.Status) {
	w.t.Helper()
	got := nfsclient.OK
	if err != nil {
		s, ok := errors.AsType[nfsclient.Status](err)
		if !ok {
			w.t.Fatalf("%s: %v", what, err)
		}
		got = s
	}
	if !slices.Contains(want, got) {
		w.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (w *world) attr(fh nfsclient.FH) nfsclient.Attr {
	w.t.Helper()
	a, err := w.Getattr(w.t.Context(), fh)
	w.must("getattr", err)
	return a
}

func (w *world) lookup(dir nfsclient.FH, name string) nfsclient.FH {
	w.t.Helper()
	r, err := w.Lookup(w.t.Context(), dir, name)
	w.must("lookup "+name, err)
	return r.FH
}

// made gives the handle in the results of a call that makes something.
func (w *world) made(what string, r nfsclient.CreateRes, err error) nfsclient.FH {
	w.t.Helper()
	w.must(what, err)
	if r.FH == nil {
		w.t.Fatalf("%s: no handle", what)
	}
	return *r.FH
}

func (w *world) create(dir nfsclient.FH, name string) nfsclient.FH {
	w.t.Helper()
	r, err := w.Create(w.t.Context(), dir, name, nfsclient.Guarded, mode(0o644))
	return w.made("create "+name, r, err)
}

func (w *world) mkdir(dir nfsclient.FH, name string) nfsclient.FH {
	w.t.Helper()
	r, err := w.Mkdir(w.t.Context(), dir, name, mode(0o755))
	return w.made("mkdir "+name, r, err)
}

func (w *world) symlink(dir nfsclient.FH, name, target string) nfsclient.FH {
	w.t.Helper()
	r, err := w.Symlink(w.t.Context(), dir, name, target, nfsclient.SetAttr{})
	return w.made("symlink "+name, r, err)
}

func (w *world) put(dir nfsclient.FH, name, data string) nfsclient.FH {
	w.t.Helper()
	fh := w.create(dir, name)
	w.write(fh, data)
	return fh
}

func (w *world) write(fh nfsclient.FH, data string) {
	w.t.Helper()
	r, err := w.Write(w.t.Context(), fh, 0, nfsclient.Unstable, []byte(data))
	w.must("write", err)
	if int(r.Count) != len(data) {
		w.t.Fatalf("write: %d of %d bytes", r.Count, len(data))
	}
}

// content reads a whole small file.
func (w *world) content(fh nfsclient.FH) string {
	w.t.Helper()
	r, err := w.Read(w.t.Context(), fh, 0, 64<<10)
	w.must("read", err)
	return string(r.Data)
}

// same compares attributes but for the access time, which any reading changes.
func (w *world) same(what string, got, want any) {
	w.t.Helper()
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(nfsclient.Attr{}, "Atime")); d != "" {
		w.t.Errorf("%s: want -, got +:\n%s", what, d)
	}
}

// change carries out a call that changes objs and compares the wcc_data that it
// gives with what GETATTR says before and after it. An object that is gone
// afterwards has no attributes then.
func (w *world) change(what string, objs []nfsclient.FH, call func() ([]nfsclient.Wcc, error), want nfsclient.Status) {
	w.t.Helper()
	var before []*nfsclient.WccAttr
	for _, fh := range objs {
		a := w.attr(fh)
		before = append(before, &nfsclient.WccAttr{Size: a.Size, Mtime: a.Mtime, Ctime: a.Ctime})
	}
	got, err := call()
	w.want(what, err, want)
	for i, fh := range objs {
		after := w.attr(fh)
		w.same(fmt.Sprintf("%s: wcc_data %d", what, i), got[i], nfsclient.Wcc{Before: before[i], After: &after})
	}
}
