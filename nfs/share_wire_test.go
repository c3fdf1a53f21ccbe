package nfs_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// A user who is neither the owner nor root, and a group that he is in.
const (
	strangerUID = 4711
	strangerGID = 4712
)

// shared serves with ShareRead, and gives a client that calls as a stranger.
func shared(t *testing.T) (*world, *nfsclient.Client) {
	t.Helper()
	w := newWorld(t)
	w.stop()
	w.shareRead = true
	w.start()
	return w, w.As(nfsclient.AuthSys(strangerUID, strangerGID))
}

// TestShareReadChangesNothing: a stranger may call what reads, and nothing else.
func TestShareReadChangesNothing(t *testing.T) {
	w, stranger := shared(t)
	dir := w.mkdir(w.root, "d")
	w.chmod(dir, 0o777)
	file := w.put(dir, "name", "content")
	w.chmod(file, 0o777)
	link := w.symlink(dir, "link", "target")
	reading := map[uint32]bool{
		nfsclient.ProcGetattr: true, nfsclient.ProcLookup: true, nfsclient.ProcAccess: true, nfsclient.ProcRead: true,
		nfsclient.ProcReaddir: true, nfsclient.ProcReaddirplus: true,
		nfsclient.ProcFsstat: true, nfsclient.ProcFsinfo: true, nfsclient.ProcPathconf: true,
	}
	before, entries := w.attr(dir), w.list(dir)
	for _, args := range callsOfEach(dir, file) {
		p := args.Proc()
		if p.Prog != nfsclient.NFSProgram || p.Num == nfsclient.ProcReadlink {
			continue
		}
		_, b, err := stranger.Start(args).Wait(t.Context())
		w.must("stranger", err)
		want := nfsclient.ErrAcces
		if reading[p.Num] {
			want = nfsclient.OK
		}
		if got := nfsclient.Status(binary.BigEndian.Uint32(b)); got != want {
			t.Errorf("%v: got %v, want %v", p, got, want)
		}
	}
	if r, err := stranger.Readlink(t.Context(), link); err != nil || r.Target != "target" {
		t.Errorf("readlink: got %q, %v", r.Target, err)
	}
	if _, err := stranger.Mnt(t.Context(), export); err != nil {
		t.Errorf("MNT: %v", err)
	}
	w.same("the directory", w.attr(dir), before)
	w.same("its entries", w.list(dir), entries)
	if got := w.content(file); got != "content" {
		t.Errorf("got %q", got)
	}
}

func (w *world) chmod(fh nfsclient.FH, m uint32) {
	w.t.Helper()
	_, err := w.Setattr(w.t.Context(), fh, mode(m), nil)
	w.must("chmod", err)
}

// TestShareReadOfFiles: reading takes the right to read or to execute, of the class that
// the stranger is in, and ACCESS says so.
func TestShareReadOfFiles(t *testing.T) {
	w, stranger := shared(t)
	file := w.put(w.root, "file", "content")
	gid := w.attr(file).GID
	member := w.As(nfsclient.AuthSys(strangerUID, strangerGID, gid))
	const r, x = nfsclient.AccessRead, nfsclient.AccessExecute
	for _, tt := range []struct {
		mode            uint32
		other, ofGroup  uint32 // what ACCESS gives
		reads, memberIs nfsclient.Status
	}{
		{0o600, 0, 0, nfsclient.ErrAcces, nfsclient.ErrAcces},
		{0o604, r, 0, nfsclient.OK, nfsclient.ErrAcces},
		{0o640, 0, r, nfsclient.ErrAcces, nfsclient.OK},
		{0o666, r, r, nfsclient.OK, nfsclient.OK},
		{0o622, 0, 0, nfsclient.ErrAcces, nfsclient.ErrAcces},
		{0o711, x, x, nfsclient.OK, nfsclient.OK},
		{0o755, r | x, r | x, nfsclient.OK, nfsclient.OK},
	} {
		w.chmod(file, tt.mode)
		for _, c := range []struct {
			name   string
			client *nfsclient.Client
			access uint32
			read   nfsclient.Status
		}{{"other", stranger, tt.other, tt.reads}, {"group", member, tt.ofGroup, tt.memberIs}} {
			what := fmt.Sprintf("mode %#o, %s", tt.mode, c.name)
			a, err := c.client.Access(t.Context(), file, 0x3f)
			w.want(what+": ACCESS", err, nfsclient.OK)
			if a.Access != c.access {
				t.Errorf("%s: ACCESS gives %#x, want %#x", what, a.Access, c.access)
			}
			res, err := c.client.Read(t.Context(), file, 0, 100)
			w.want(what+": READ", err, c.read)
			if c.read != nfsclient.OK && len(res.Data) > 0 {
				t.Errorf("%s: READ gives %q", what, res.Data)
			}
		}
	}
}

// TestShareReadOfDirectories: looking up takes the right to search, listing that to
// read, and without the first a listing gives no handles.
func TestShareReadOfDirectories(t *testing.T) {
	w, stranger := shared(t)
	dir := w.mkdir(w.root, "d")
	w.put(dir, "file", "content")
	for _, tt := range []struct {
		mode         uint32
		lookup, list nfsclient.Status
		handles      bool
	}{
		{0o700, nfsclient.ErrAcces, nfsclient.ErrAcces, false},
		{0o701, nfsclient.OK, nfsclient.ErrAcces, false},
		{0o704, nfsclient.ErrAcces, nfsclient.OK, false},
		{0o705, nfsclient.OK, nfsclient.OK, true},
		{0o072, nfsclient.ErrAcces, nfsclient.ErrAcces, false},
	} {
		w.chmod(dir, tt.mode)
		what := fmt.Sprintf("mode %#o", tt.mode)
		for _, name := range []string{"file", "..", "."} {
			_, err := stranger.Lookup(t.Context(), dir, name)
			w.want(what+": LOOKUP of "+name, err, tt.lookup)
		}
		_, err := stranger.Readdir(t.Context(), dir, 0, nfsclient.Verf{}, 4096)
		w.want(what+": READDIR", err, tt.list)
		r, err := stranger.Readdirplus(t.Context(), nfsclient.ReaddirplusArgs{Dir: dir, Dircount: 4096, Maxcount: 4096})
		w.want(what+": READDIRPLUS", err, tt.list)
		for _, e := range r.Entries {
			if (e.FH != nil) != tt.handles || (e.Attr != nil) != tt.handles {
				t.Errorf("%s: READDIRPLUS gives %+v", what, e)
			}
		}
	}
}

// TestRootsFilesAreTheOwners: what root makes through the mount belongs to the user that
// the server runs as, who cannot give it away.
func TestRootsFilesAreTheOwners(t *testing.T) {
	if !asOrdinary(t) {
		return
	}
	w := newWorld(t)
	root := w.As(nfsclient.AuthSys(0, 0, 0))
	ctx := t.Context()
	var made []nfsclient.FH
	add := func(what string) func(nfsclient.CreateRes, error) {
		return func(r nfsclient.CreateRes, err error) { made = append(made, w.made(what, r, err)) }
	}
	add("create")(root.Create(ctx, w.root, "file", nfsclient.Guarded, mode(0o644)))
	add("create, exclusively")(root.CreateExclusive(ctx, w.root, "exclusive", nfsclient.Verf{1}))
	add("mkdir")(root.Mkdir(ctx, w.root, "dir", mode(0o755)))
	add("symlink")(root.Symlink(ctx, w.root, "link", "target", nfsclient.SetAttr{}))
	add("mknod")(root.Mknod(ctx, nfsclient.MknodArgs{Dir: w.root, Name: "fifo", Type: nfsclient.FIFO, Attr: mode(0o644)}))
	for _, fh := range made {
		if a := w.attr(fh); a.UID != uint32(os.Getuid()) || a.GID != uint32(os.Getgid()) {
			t.Errorf("%v %04o belongs to %d:%d", a.Type, a.Mode, a.UID, a.GID)
		}
		_, err := root.Setattr(ctx, fh, nfsclient.SetAttr{UID: new(uint32(0))}, nil)
		w.want("chown to root", err, nfsclient.ErrPerm)
		_, err = root.Setattr(ctx, fh, nfsclient.SetAttr{UID: new(uint32(os.Getuid()))}, nil)
		w.want("chown to the owner", err, nfsclient.OK)
	}
	_, err := root.Create(ctx, w.root, "mine", nfsclient.Guarded, nfsclient.SetAttr{UID: new(uint32(0))})
	w.want("create with root as the owner", err, nfsclient.ErrPerm)
	_, err = w.Lookup(ctx, w.root, "mine")
	w.want("look up what could not be created", err, nfsclient.ErrNoEnt)
	w.write(made[0], "the owner writes")
}
