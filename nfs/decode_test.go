package nfs

import (
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/overlay"
)

func TestEveryProcedureAnswers(t *testing.T) {
	s := newServer(newFakeFS())
	for proc, a := range goodArgs() {
		r, d := ask(t, s, nfsCall(9, proc, &owner, a))
		if r.XID != 9 || !r.Accepted || r.Accept != oncrpc.Success {
			t.Errorf("procedure %d: got reply %+v", proc, r)
		}
		if proc != procNull && d.Uint32() != 0 {
			t.Errorf("procedure %d: got a status that is not OK", proc)
		}
	}
}

func TestTruncatedArgumentsAreGarbage(t *testing.T) {
	f := newFakeFS()
	f.hook = func(op string, _ overlay.Caller) error {
		t.Errorf("file system was asked to %s", op)
		return nil
	}
	s := newServer(f)
	for proc, a := range goodArgs() {
		for n := range a.B {
			r, _ := ask(t, s, nfsCall(9, proc, &owner, &args{Encoder: encoderOf(a.B[:n])}))
			if r.Accept != oncrpc.GarbageArgs {
				t.Errorf("procedure %d with %d of %d bytes: got %+v", proc, n, len(a.B), r)
			}
		}
	}
}

// TestFailureUnions holds every procedure's failure arm to its length: RFC 1813
// has attributes in most of them.
func TestFailureUnions(t *testing.T) {
	stale := overlay.ID{Fileid: 99}
	const status, none = 4, 4 // a post_op_attr that is not there; a wcc_data is two
	for _, tt := range []struct {
		proc uint32
		want int
	}{
		{procGetattr, status},
		{procSetattr, status + 2*none},
		{procLookup, status + none},
		{procAccess, status + none},
		{procReadlink, status + none},
		{procRead, status + none},
		{procWrite, status + 2*none},
		{procCreate, status + 2*none},
		{procMkdir, status + 2*none},
		{procSymlink, status + 2*none},
		{procMknod, status + 2*none},
		{procRemove, status + 2*none},
		{procRmdir, status + 2*none},
		{procRename, status + 4*none},
		{procLink, status + none + 2*none},
		{procReaddir, status + none},
		{procReaddirplus, status + none},
		{procFsstat, status + none},
		{procFsinfo, status + none},
		{procPathconf, status + none},
		{procCommit, status + 2*none},
	} {
		s := newServer(newFakeFS())
		a := goodArgs()[tt.proc]
		bad := on(stale)
		copy(a.B, bad.B[:len(bad.B)-1]) // the MAC is wrong
		_, d := ask(t, s, nfsCall(9, tt.proc, &owner, a))
		if got := d.Left(); got != tt.want {
			t.Errorf("procedure %d: got a failure of %d bytes, want %d", tt.proc, got, tt.want)
		}
		if got := d.Uint32(); got != uint32(statusBadHandle) {
			t.Errorf("procedure %d: got status %d", tt.proc, got)
		}
	}
}

func TestFailureCarriesAttributes(t *testing.T) {
	f := newFakeFS()
	f.hook = func(op string, _ overlay.Caller) error {
		if op == "read" || op == "readdir" || op == "readlink" || op == "stat" {
			return statusAcces
		}
		return nil
	}
	s := newServer(f)
	for _, proc := range []uint32{procRead, procReaddir, procReaddirplus, procReadlink, procFsstat, procFsinfo, procPathconf} {
		_, d := ask(t, s, nfsCall(9, proc, &owner, goodArgs()[proc]))
		if st := d.Uint32(); st != uint32(statusAcces) {
			t.Errorf("procedure %d: got status %d", proc, st)
		}
		if !d.Bool() || d.Left() != fattrSize {
			t.Errorf("procedure %d: got no attributes", proc)
		}
	}
}

func TestArgumentsAreJudged(t *testing.T) {
	long := string(make([]byte, 256))
	for _, tt := range []struct {
		name string
		proc uint32
		args *args
		want status
	}{
		{"empty name", procLookup, on(fakeRoot).str(""), statusInval},
		{"slash", procLookup, on(fakeRoot).str("a/b"), statusInval},
		{"NUL", procLookup, on(fakeRoot).str("a\x00b"), statusInval},
		{"long name", procLookup, on(fakeRoot).str(long), statusNameTooLong},
		{"look-up of dot", procLookup, on(fakeRoot).str("."), statusNoEnt}, // as the fake has it
		{"create dot", procCreate, on(fakeRoot).str(".").u32(0).sattr(), statusExist},
		{"mkdir dot dot", procMkdir, on(fakeRoot).str("..").sattr(), statusExist},
		{"remove dot", procRemove, on(fakeRoot).str("."), statusInval},
		{"rmdir dot dot", procRmdir, on(fakeRoot).str(".."), statusExist},
		{"rename dot", procRename, on(fakeRoot).str(".").handle(fakeRoot).str("a"), statusInval},
		{"rename to dot dot", procRename, on(fakeRoot).str("a").handle(fakeRoot).str(".."), statusExist},
		{"empty target", procSymlink, on(fakeRoot).str("a").sattr().str(""), statusInval},
		{"long target", procSymlink, on(fakeRoot).str("a").sattr().str(strings.Repeat("x", 4096)), statusNameTooLong},
		{"NUL in a target", procSymlink, on(fakeRoot).str("a").sattr().str("x\x00"), statusInval},
		{"mknod of a file", procMknod, on(fakeRoot).str("a").u32(typeReg), statusBadType},
		{"mknod of nonsense", procMknod, on(fakeRoot).str("a").u32(1 << 31), statusBadType},
		{"nanoseconds", procSetattr, on(fakeFile).u32(0, 0, 0, 0, 0, 2, 1, 1e9, 0), statusInval},
		{"write beyond all files", procWrite, on(fakeFile).u64(1<<63).u32(0, 0).opaque(nil), statusFBig},
		{"read beyond all files", procRead, on(fakeFile).u64(1<<64 - 1).u32(10), statusOK},
		{"stale", procGetattr, on(overlay.ID{Fileid: 99}), statusStale},
		{"tiny readdir", procReaddir, on(fakeRoot).u64(0).u64(0).u32(110), statusTooSmall},
		{"no room in readdir", procReaddir, on(fakeRoot).u64(0).u64(0).u32(0), statusTooSmall},
	} {
		_, d := ask(t, newServer(newFakeFS()), nfsCall(1, tt.proc, &owner, tt.args))
		if got := status(d.Uint32()); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestMalformedArgumentsAreGarbage(t *testing.T) {
	for _, tt := range []struct {
		name string
		proc uint32
		args *args
	}{
		{"handle over 64 bytes", procGetattr, new(args).opaque(make([]byte, 68))},
		{"boolean 2", procSetattr, on(fakeFile).u32(2, 0, 0, 0, 0, 0, 0)},
		{"time_how 3", procSetattr, on(fakeFile).u32(0, 0, 0, 0, 3, 0, 0)},
		{"createmode 3", procCreate, on(fakeRoot).str("a").u32(3)},
		{"stable_how 3", procWrite, on(fakeFile).u64(0).u32(1, 3).str("a")},
		{"count is not the data's", procWrite, on(fakeFile).u64(0).u32(5, 0).str("a")},
		{"claimed length", procWrite, on(fakeFile).u64(0).u32(1<<31, 0, 1<<31)},
	} {
		r, _ := ask(t, newServer(newFakeFS()), nfsCall(1, tt.proc, &owner, tt.args))
		if r.Accept != oncrpc.GarbageArgs {
			t.Errorf("%s: got %+v", tt.name, r)
		}
	}
}

// TestBadNamesGetNowhere: no procedure hands the file system a name that it should not
// get, in whichever of its arguments.
func TestBadNamesGetNowhere(t *testing.T) {
	asked := ""
	f := newFakeFS()
	f.hook = func(op string, _ overlay.Caller) error {
		if op != "getattr" { // for the attributes that go with a failure
			asked = op
		}
		return nil
	}
	s := newServer(f)
	for _, name := range []string{"", ".", "..", "/", "a/b", "../a", "a\x00b", "\x00", strings.Repeat("x", 256)} {
		for what, msg := range map[string][]byte{
			"LOOKUP":      nfsCall(1, procLookup, &owner, on(fakeRoot).str(name)),
			"CREATE":      nfsCall(1, procCreate, &owner, on(fakeRoot).str(name).u32(0).sattr()),
			"EXCLUSIVE":   nfsCall(1, procCreate, &owner, on(fakeRoot).str(name).u32(2).u64(1)),
			"MKDIR":       nfsCall(1, procMkdir, &owner, on(fakeRoot).str(name).sattr()),
			"SYMLINK":     nfsCall(1, procSymlink, &owner, on(fakeRoot).str(name).sattr().str("target")),
			"MKNOD":       nfsCall(1, procMknod, &owner, on(fakeRoot).str(name).u32(typeFIFO).sattr()),
			"REMOVE":      nfsCall(1, procRemove, &owner, on(fakeRoot).str(name)),
			"RMDIR":       nfsCall(1, procRmdir, &owner, on(fakeRoot).str(name)),
			"RENAME from": nfsCall(1, procRename, &owner, on(fakeRoot).str(name).handle(fakeRoot).str("new")),
			"RENAME to":   nfsCall(1, procRename, &owner, on(fakeRoot).str("file").handle(fakeRoot).str(name)),
			"LINK":        nfsCall(1, procLink, &owner, on(fakeFile).handle(fakeRoot).str(name)),
		} {
			if what == "LOOKUP" && strings.Trim(name, ".") == "" && name != "" {
				continue // which has "." and ".."
			}
			asked = ""
			_, d := ask(t, s, msg)
			if got := status(d.Uint32()); got == statusOK || asked != "" {
				t.Errorf("%s of %.20q: got %v, and the file system was asked to %s", what, name, got, asked)
			}
		}
	}
}
