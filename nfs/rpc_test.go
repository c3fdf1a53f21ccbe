package nfs

import (
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

func call(prog, vers, proc uint32, cred *oncrpc.Cred, a *args) []byte {
	var e xdr.Encoder
	oncrpc.AppendCall(&e, 1, prog, vers, proc, cred)
	return append(e.B, a.B...)
}

func TestRPCErrors(t *testing.T) {
	gss := oncrpc.Cred{Flavor: 6}
	rpc3 := call(progNFS, 3, procNull, &owner, &args{})
	rpc3[11] = 3
	badSys := call(progNFS, 3, procNull, &oncrpc.Cred{Flavor: oncrpc.AuthNone}, &args{})
	badSys[27] = oncrpc.AuthSys // of an empty body
	for _, tt := range []struct {
		name string
		msg  []byte
		want oncrpc.Reply
	}{
		{"rpc version", rpc3, oncrpc.Reply{Reject: oncrpc.RPCMismatch, Low: 2, High: 2}},
		{"program", call(100021, 4, 0, &root, &args{}), oncrpc.Reply{Accepted: true, Accept: oncrpc.ProgUnavail}},
		{"NFS 4", call(progNFS, 4, 0, &root, &args{}), oncrpc.Reply{Accepted: true, Accept: oncrpc.ProgMismatch, Low: 3, High: 3}},
		{"NFS 2", call(progNFS, 2, 0, &root, &args{}), oncrpc.Reply{Accepted: true, Accept: oncrpc.ProgMismatch, Low: 3, High: 3}},
		{"MOUNT 4", call(progMount, 4, 0, &root, &args{}), oncrpc.Reply{Accepted: true, Accept: oncrpc.ProgMismatch, Low: 1, High: 3}},
		{"procedure", call(progNFS, 3, 22, &owner, &args{}), oncrpc.Reply{Accepted: true, Accept: oncrpc.ProcUnavail}},
		{"MOUNT procedure", call(progMount, 3, 6, &owner, &args{}), oncrpc.Reply{Accepted: true, Accept: oncrpc.ProcUnavail}},
		{"MNT in version 1", call(progMount, 1, 1, &owner, new(args).str("/nix")), oncrpc.Reply{Accepted: true, Accept: oncrpc.ProcUnavail}},
		{"GSS", call(progNFS, 3, procNull, &gss, &args{}), oncrpc.Reply{Reject: oncrpc.AuthError, Auth: oncrpc.AuthTooWeak}},
		{"malformed AUTH_SYS", badSys, oncrpc.Reply{Reject: oncrpc.AuthError, Auth: oncrpc.AuthBadCred}},
		{"AUTH_NONE", call(progNFS, 3, procGetattr, &nobody, on(fakeRoot)), oncrpc.Reply{Reject: oncrpc.AuthError, Auth: oncrpc.AuthTooWeak}},
		{"NULL of nobody", call(progNFS, 3, procNull, &nobody, &args{}), oncrpc.Reply{Accepted: true}},
		{"NULL of another", call(progNFS, 3, procNull, &other, &args{}), oncrpc.Reply{Accepted: true}},
		{"NULL of root", call(progNFS, 3, procNull, &root, &args{}), oncrpc.Reply{Accepted: true}},
		{"UMNT in version 1", call(progMount, 1, 3, &root, new(args).str("nix")), oncrpc.Reply{Accepted: true}},
	} {
		got, _ := ask(t, newServer(newFakeFS()), tt.msg)
		tt.want.XID = 1
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	s := newServer(newFakeFS())
	for proc, a := range goodArgs() {
		if proc == procNull {
			continue
		}
		_, d := ask(t, s, nfsCall(1, proc, &other, a))
		if got := status(d.Uint32()); got != statusAcces {
			t.Errorf("procedure %d: got %v", proc, got)
		}
		for d.Left() > 0 {
			if d.Bool() {
				t.Errorf("procedure %d: attributes for a stranger", proc)
			}
		}
		if _, d = ask(t, s, nfsCall(1, proc, &root, a)); d.Uint32() != 0 {
			t.Errorf("procedure %d: refused to root", proc)
		}
	}
}

func TestMount(t *testing.T) {
	for _, tt := range []struct {
		path string
		cred oncrpc.Cred
		want status
	}{
		{"/nix", root, statusOK},
		{"/nix/", owner, statusOK},
		{"/", root, statusOK},
		{"/nix", nobody, statusOK},
		{"/nix", other, statusAcces},
		{"", root, statusNoEnt},
		{"/nixx", root, statusNoEnt},
		{"/nix/store", root, statusNoEnt},
		{string(make([]byte, 1025)), root, statusNameTooLong},
	} {
		_, d := ask(t, newServer(newFakeFS()), call(progMount, 3, 1, &tt.cred, new(args).str(tt.path)))
		if got := status(d.Uint32()); got != tt.want {
			t.Errorf("MNT %q by %d: got %v, want %v", tt.path, tt.cred.UID, got, tt.want)
		}
		if tt.want != statusOK {
			continue
		}
		id, ok := newHandles(testKey).parse(d.Opaque(maxHandle))
		if !ok || id != fakeRoot || d.Uint32() != 1 || d.Uint32() != oncrpc.AuthSys || d.Left() != 0 {
			t.Errorf("MNT %q: got another handle or flavor", tt.path)
		}
	}
}

func TestExport(t *testing.T) {
	_, d := ask(t, newServer(newFakeFS()), call(progMount, 3, 5, &nobody, &args{}))
	if !d.Bool() || string(d.Opaque(1024)) != "/nix" || d.Bool() || d.Bool() || d.Left() != 0 {
		t.Error("got another list")
	}
}
