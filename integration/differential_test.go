package integration

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/go-git/go-billy/v5"
	gonfs "github.com/willscott/go-nfs"
	"github.com/willscott/go-nfs/file"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// faults are where go-nfs v0.0.4 is wrong: there its answers may differ. A key is a
// procedure, or all, and a field. What is not asked at all, since the answers
// cannot be compared: FSSTAT, whose reply has 4 bytes too many; DUMP and EXPORT,
// which are not there; RPC errors, which are mixed up; handles, cookies, verifiers
// and transfer sizes, which are each server's own; what changes something.
var faults = map[string]string{
	"all.Attr.Mode":            "holds Go's FileMode; the nine permission bits are compared beside it",
	"all.Attr.FSID":            "always 0",
	"all.Attr.Used":            "the size, not the space on disk",
	"all.Attr.Atime":           "the mtime",
	"all.Attr.Ctime":           "the mtime",
	"LOOKUP.Status of ..":      "ACCES in the root, which is its own parent",
	"LOOKUP.Status of names":   "slashes and NUL are not refused, and every failure is NOENT",
	"ACCESS.Access":            "gives back what was asked",
	"READLINK.Attr":            "a failure carries no attributes",
	"READ.Status of others":    "every failure is ACCES",
	"READDIR.Fileid of ..":     "0 in the root, which is its own parent",
	"READDIRPLUS.Fileid of ..": "0 in the root, which is its own parent",
	"READDIRPLUS.Attr of ..":   "missing",
	"PATHCONF.LinkMax":         "always 1",
	"PATHCONF.ChownRestricted": "always false",
}

// infoFS gives go-nfs what it wants to know of a file in the form that it reads.
type infoFS struct{ billy.Filesystem }

type info struct{ fs.FileInfo }

// Sys implements fs.FileInfo.
func (i info) Sys() any {
	a := i.FileInfo.Sys().(*overlay.Attr)
	return &file.FileInfo{Nlink: a.Nlink, UID: a.UID, GID: a.GID, Major: a.Major, Minor: a.Minor, Fileid: a.ID.Fileid}
}

func wrapInfo(i fs.FileInfo, err error) (fs.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	return info{i}, nil
}

func (f infoFS) Stat(name string) (fs.FileInfo, error)  { return wrapInfo(f.Filesystem.Stat(name)) }
func (f infoFS) Lstat(name string) (fs.FileInfo, error) { return wrapInfo(f.Filesystem.Lstat(name)) }

func (f infoFS) ReadDir(name string) ([]fs.FileInfo, error) {
	list, err := f.Filesystem.ReadDir(name)
	for i := range list {
		list[i] = info{list[i]}
	}
	return list, err
}

// handler is a go-nfs handler of one file system. Handles are numbers of paths.
type handler struct {
	fs billy.Filesystem

	mu    sync.Mutex
	paths [][]string
	index map[string]int
}

var errNoHandle = errors.New("no handle")

func (h *handler) Mount(context.Context, net.Conn, gonfs.MountRequest) (gonfs.MountStatus, billy.Filesystem, []gonfs.AuthFlavor) {
	return gonfs.MountStatusOk, h.fs, []gonfs.AuthFlavor{gonfs.AuthFlavorUnix}
}

func (h *handler) Change(billy.Filesystem) billy.Change { return nil }

func (h *handler) FSStat(context.Context, billy.Filesystem, *gonfs.FSStat) error { return nil }

func (h *handler) ToHandle(_ billy.Filesystem, path []string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := fmt.Sprintf("%q", path) // a name may hold a slash here
	i, ok := h.index[key]
	if !ok {
		i = len(h.paths)
		h.paths = append(h.paths, append([]string(nil), path...))
		h.index[key] = i
	}
	return binary.BigEndian.AppendUint64(nil, uint64(i))
}

func (h *handler) FromHandle(fh []byte) (billy.Filesystem, []string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(fh) != 8 || binary.BigEndian.Uint64(fh) >= uint64(len(h.paths)) {
		return nil, nil, errNoHandle
	}
	p := h.paths[binary.BigEndian.Uint64(fh)]
	return h.fs, p[:len(p):len(p)], nil
}

func (h *handler) InvalidateHandle(billy.Filesystem, []byte) error { return nil }

func (h *handler) HandleLimit() int { return 1 << 30 }

// listen gives a listener that ends with the test.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// side is one of the two servers, and a client of it.
type side struct {
	*nfsclient.Client
	t    *testing.T
	root nfsclient.FH
}

func newSide(t *testing.T, addr string) *side {
	t.Helper()
	c, err := nfsclient.Dial(t.Context(), addr, nfsclient.Options{Cred: nfsclient.Self()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	m, err := c.Mnt(t.Context(), "/nix")
	if err != nil || len(m.Flavors) != 1 || m.Flavors[0] != 1 {
		t.Fatalf("mount: %v, flavors %v", err, m.Flavors)
	}
	return &side{c, t, m.FH}
}

// bothSides serves one overlay with both engines.
func bothSides(t *testing.T, o overlay.Options) (ours, theirs *side) {
	t.Helper()
	merged, err := overlay.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { merged.Close() })
	server, err := testserver.Serve(nfs.Options{FS: merged})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	ln := listen(t)
	go gonfs.Serve(ln, &handler{fs: infoFS{overlay.Billy(merged)}, index: map[string]int{}})
	return newSide(t, server.Addr), newSide(t, ln.Addr().String())
}

// differ compares two answers to one question.
type differ struct {
	t     *testing.T
	asked int
	met   map[string]bool // of faults
}

// excused reports whether a difference is in the table.
func (d *differ) excused(keys ...string) bool {
	for _, k := range keys {
		if _, ok := faults[k]; ok {
			d.met[k] = true
			return true
		}
	}
	return false
}

// same compares what both sides say of one field.
func (d *differ) same(proc, field, path string, ours, theirs any) {
	d.t.Helper()
	d.asked++
	if !reflect.DeepEqual(ours, theirs) && !d.excused(proc+"."+field, "all."+field) {
		d.t.Errorf("%s %q: %s: we say %v, go-nfs %v", proc, path, field, ours, theirs)
	}
}

// status compares errors of calls, and reports whether both succeeded.
func (d *differ) status(proc, path string, ours, theirs error) bool {
	d.t.Helper()
	d.same(proc, "Status", path, ours, theirs)
	return ours == nil && theirs == nil
}

// attrs compares all fields of two attributes.
func (d *differ) attrs(proc, path string, ours, theirs *nfsclient.Attr) {
	d.t.Helper()
	if ours == nil || theirs == nil {
		d.same(proc, "Attr", path, ours != nil, theirs != nil)
		return
	}
	d.same(proc, "permissions", path, ours.Mode&0o777, theirs.Mode&0o777)
	o, th := reflect.ValueOf(*ours), reflect.ValueOf(*theirs)
	for i := range o.NumField() {
		d.same(proc, "Attr."+o.Type().Field(i).Name, path, o.Field(i).Interface(), th.Field(i).Interface())
	}
}

// object asks everything about one object.
func (d *differ) object(ctx context.Context, path string, o, t *side, ofh, tfh nfsclient.FH) {
	d.t.Helper()
	oa, oerr := o.Getattr(ctx, ofh)
	ta, terr := t.Getattr(ctx, tfh)
	if d.status("GETATTR", path, oerr, terr) {
		d.attrs("GETATTR", path, &oa, &ta)
	}
	or, oerr := o.Access(ctx, ofh, 0x3f)
	tr, terr := t.Access(ctx, tfh, 0x3f)
	if d.status("ACCESS", path, oerr, terr) {
		d.attrs("ACCESS", path, or.Attr, tr.Attr)
		d.same("ACCESS", "Access", path, or.Access, tr.Access)
	}
	ol, oerr := o.Readlink(ctx, ofh)
	tl, terr := t.Readlink(ctx, tfh)
	if d.status("READLINK", path, oerr, terr) {
		d.same("READLINK", "Target", path, ol.Target, tl.Target)
	}
	d.attrs("READLINK", path, ol.Attr, tl.Attr)
	d.limits(ctx, path, o, t, ofh, tfh)
	switch oa.Type {
	case nfsclient.Reg:
		d.data(ctx, path, oa.Size, o, t, ofh, tfh)
		return
	case nfsclient.Dir:
		d.directory(ctx, path, o, t, ofh, tfh)
	case nfsclient.FIFO:
		return // go-nfs would wait for a writer
	}
	_, oerr = o.Read(ctx, ofh, 0, 1)
	_, terr = t.Read(ctx, tfh, 0, 1)
	d.same("READ", "Status of others", path, oerr, terr)
}

func (d *differ) limits(ctx context.Context, path string, o, t *side, ofh, tfh nfsclient.FH) {
	d.t.Helper()
	op, oerr := o.Pathconf(ctx, ofh)
	tp, terr := t.Pathconf(ctx, tfh)
	if d.status("PATHCONF", path, oerr, terr) {
		d.attrs("PATHCONF", path, op.Attr, tp.Attr)
		ov, tv := reflect.ValueOf(op), reflect.ValueOf(tp)
		for i := 1; i < ov.NumField(); i++ {
			d.same("PATHCONF", ov.Type().Field(i).Name, path, ov.Field(i).Interface(), tv.Field(i).Interface())
		}
	}
	oi, oerr := o.Fsinfo(ctx, ofh)
	ti, terr := t.Fsinfo(ctx, tfh)
	if d.status("FSINFO", path, oerr, terr) {
		d.attrs("FSINFO", path, oi.Attr, ti.Attr)
		d.same("FSINFO", "Properties", path, oi.Properties, ti.Properties)
	}
}

func (d *differ) data(ctx context.Context, path string, size uint64, o, t *side, ofh, tfh nfsclient.FH) {
	d.t.Helper()
	for _, r := range []struct {
		off   uint64
		count uint32
	}{{0, 1}, {0, 4096}, {size / 2, 1000}, {1, uint32(size)}, {size, 1}, {size + 1, 10}, {0, 1 << 20}, {size - min(size, 5), 5}} {
		or, oerr := o.Read(ctx, ofh, r.off, r.count)
		tr, terr := t.Read(ctx, tfh, r.off, r.count)
		if !d.status("READ", path, oerr, terr) {
			continue
		}
		at := fmt.Sprintf("%s at %d, %d bytes", path, r.off, r.count)
		d.same("READ", "Data", at, string(or.Data), string(tr.Data))
		d.same("READ", "Count", at, or.Count, tr.Count)
		d.same("READ", "EOF", at, or.EOF, tr.EOF)
		d.attrs("READ", at, or.Attr, tr.Attr)
	}
}

// directory compares the listings, and goes on with what they hold.
func (d *differ) directory(ctx context.Context, path string, o, t *side, ofh, tfh nfsclient.FH) {
	d.t.Helper()
	ol, tl := o.list(ofh), t.list(tfh)
	d.same("READDIR", "number of entries", path, len(ol), len(tl))
	op, tp := o.listPlus(ofh), t.listPlus(tfh)
	d.same("READDIRPLUS", "number of entries", path, len(op), len(tp))
	for name, id := range ol {
		field := "Fileid"
		if name == ".." {
			field += " of .."
		}
		d.same("READDIR", field, path+"/"+name, id, tl[name])
		d.same("READDIRPLUS", field, path+"/"+name, op[name].Fileid, tp[name].Fileid)
		if name == ".." {
			d.same("READDIRPLUS", "Attr of ..", path, op[name].Attr != nil, tp[name].Attr != nil)
			continue
		}
		d.attrs("READDIRPLUS", path+"/"+name, op[name].Attr, tp[name].Attr)
	}
	d.lookups(ctx, path, ol, o, t, ofh, tfh)
}

func (d *differ) lookups(ctx context.Context, path string, names map[string]uint64, o, t *side, ofh, tfh nfsclient.FH) {
	d.t.Helper()
	for _, absent := range []string{"absent", "a\xffb", strings.Repeat("x", 255)} {
		_, oerr := o.Lookup(ctx, ofh, absent)
		_, terr := t.Lookup(ctx, tfh, absent)
		d.same("LOOKUP", "Status", path+"/"+absent, oerr, terr)
	}
	for _, bad := range []string{strings.Repeat("x", 256), "a/b", "", "a\x00b"} {
		_, oerr := o.Lookup(ctx, ofh, bad)
		_, terr := t.Lookup(ctx, tfh, bad)
		d.same("LOOKUP", "Status of names", path+"/"+bad, oerr, terr)
	}
	for name := range names {
		or, oerr := o.Lookup(ctx, ofh, name)
		tr, terr := t.Lookup(ctx, tfh, name)
		field := "Status"
		if name == ".." {
			field += " of .."
		}
		d.same("LOOKUP", field, path+"/"+name, oerr, terr)
		if oerr != nil || terr != nil {
			continue
		}
		d.attrs("LOOKUP", path+"/"+name, or.Attr, tr.Attr)
		d.attrs("LOOKUP", path+"/"+name, or.Dir, tr.Dir)
		if name != "." && name != ".." {
			d.object(ctx, path+"/"+name, o, t, or.FH, tr.FH)
		}
	}
}

// list reads a directory with READDIR.
func (s *side) list(dir nfsclient.FH) map[string]uint64 {
	s.t.Helper()
	names, cookie, verf := map[string]uint64{}, uint64(0), nfsclient.Verf{}
	for {
		r, err := s.Readdir(s.t.Context(), dir, cookie, verf, 32<<10)
		if err != nil {
			s.t.Fatalf("readdir: %v", err)
		}
		for _, e := range r.Entries {
			names[e.Name], cookie = e.Fileid, e.Cookie
		}
		if verf = r.Verf; r.EOF {
			return names
		}
	}
}

// listPlus reads a directory with READDIRPLUS.
func (s *side) listPlus(dir nfsclient.FH) map[string]nfsclient.EntryPlus {
	s.t.Helper()
	names, a := map[string]nfsclient.EntryPlus{}, nfsclient.ReaddirplusArgs{Dir: dir, Dircount: 32 << 10, Maxcount: 32 << 10}
	for {
		r, err := s.Readdirplus(s.t.Context(), a)
		if err != nil {
			s.t.Fatalf("readdirplus: %v", err)
		}
		for _, e := range r.Entries {
			names[e.Name], a.Cookie = e, e.Cookie
		}
		if a.Verf = r.Verf; r.EOF {
			return names
		}
	}
}

// mixedTree makes a bit of everything.
func mixedTree(t *testing.T, dir string) {
	t.Helper()
	sizes := []int{0, 1, 3, 4096, 5000, 70000, 300000}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"", "a", "a/b", "a/b/c", "empty", "many", strings.Repeat("n", 255), "ünicode"} {
		do(os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	for i, n := range sizes {
		data := []byte(strings.Repeat("0123456789\n", n/11+1)[:n])
		do(os.WriteFile(filepath.Join(dir, "a", fmt.Sprint("file", n)), data, fs.FileMode(0o400+i)))
	}
	for i := range 300 {
		do(os.WriteFile(filepath.Join(dir, "many", fmt.Sprint("entry-", i)), nil, 0o644))
	}
	do(os.Link(filepath.Join(dir, "a/file3"), filepath.Join(dir, "a/b/hard")))
	for name, target := range map[string]string{"dangling": "nowhere", "relative": "a/file1", "absolute": "/a/file3", "todir": "a/b", "loop": "loop"} {
		do(os.Symlink(target, filepath.Join(dir, name)))
	}
	do(syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o622))
}

// TestDifferential asks our server and go-nfs the same about one tree: they have to
// agree on all but what faults lists.
func TestDifferential(t *testing.T) {
	dir := t.TempDir()
	o := overlay.Options{Upper: filepath.Join(dir, "upper"), Lowers: []string{filepath.Join(dir, "lower")}, Work: filepath.Join(dir, "work")}
	mixedTree(t, o.Lowers[0])
	mixedTree(t, filepath.Join(o.Upper, "u"))
	if err := os.WriteFile(filepath.Join(o.Upper, "fifo"), []byte("covers the lower's"), 0o600); err != nil {
		t.Fatal(err)
	}
	ours, theirs := bothSides(t, o)
	d := &differ{t: t, met: map[string]bool{}}
	d.object(t.Context(), "", ours, theirs, ours.root, theirs.root)
	t.Logf("%d answers compared", d.asked)
	if d.asked < 10000 {
		t.Errorf("only %d answers were compared", d.asked)
	}
	for key := range faults {
		if !d.met[key] {
			t.Errorf("go-nfs agrees about %s: it is no fault", key)
		}
	}
}
