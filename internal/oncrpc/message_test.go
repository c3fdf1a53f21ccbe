package oncrpc_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/rpcv2"
	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// authsys is an AUTH_SYS credential as buildbarn's codec writes it.
func authsys(t *testing.T, p rpcv2.AuthsysParms) rpcv2.OpaqueAuth {
	t.Helper()
	var b bytes.Buffer
	if _, err := p.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return rpcv2.OpaqueAuth{Flavor: rpcv2.AUTH_SYS, Body: b.Bytes()}
}

// call is a call as buildbarn's codec writes it, and four bytes of arguments.
func call(t *testing.T, body rpcv2.CallBody) []byte {
	t.Helper()
	var b bytes.Buffer
	msg := rpcv2.RpcMsg{Xid: 0xdeadbeef, Body: &rpcv2.RpcMsgBody_CALL{Cbody: body}}
	if _, err := msg.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), "args"...)
}

func TestDecodeCall(t *testing.T) {
	gids := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	sys := authsys(t, rpcv2.AuthsysParms{Stamp: 9, Machinename: "mac.local", Uid: 501, Gid: 20, Gids: gids})
	long := authsys(t, rpcv2.AuthsysParms{Machinename: string(bytes.Repeat([]byte("m"), 255)), Uid: 501, Gid: 20})
	nameless := authsys(t, rpcv2.AuthsysParms{Uid: 501, Gid: 20})
	short := rpcv2.OpaqueAuth{Flavor: rpcv2.AUTH_SYS, Body: sys.Body[:len(sys.Body)-1]}
	longer := rpcv2.OpaqueAuth{Flavor: rpcv2.AUTH_SYS, Body: slices.Concat(make([]byte, 4), []byte{0, 0, 1, 0}, make([]byte, 256+12))}
	many := rpcv2.OpaqueAuth{Flavor: rpcv2.AUTH_SYS, Body: slices.Concat(make([]byte, 16), []byte{0, 0, 0, 17}, make([]byte, 17*4))}
	tt := []struct {
		name   string
		cred   rpcv2.OpaqueAuth
		ok     bool
		named  bool
		uid    uint32
		groups []uint32
	}{
		{"none", rpcv2.OpaqueAuth{}, true, false, 0, nil},
		{"sys", sys, true, true, 501, gids},
		{"no machine name", nameless, true, false, 501, nil},
		{"long machine name", long, true, true, 501, nil},
		{"machine name of 256 bytes", longer, false, false, 0, nil},
		{"cut short", short, false, true, 501, nil},
		{"17 groups", many, false, false, 0, nil},
		{"unknown flavor", rpcv2.OpaqueAuth{Flavor: rpcv2.RPCSEC_GSS, Body: []byte("xx")}, false, false, 0, nil},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			d := xdr.Decoder{B: call(t, rpcv2.CallBody{Rpcvers: 2, Prog: 100003, Vers: 3, Proc: 21, Cred: tt.cred})}
			var c oncrpc.Call
			if !oncrpc.DecodeCall(&d, &c) {
				t.Fatal("not a call")
			}
			got := []uint32{c.XID, c.RPCVersion, c.Prog, c.Vers, c.Proc, c.Cred.Flavor, c.Cred.UID}
			want := []uint32{0xdeadbeef, 2, 100003, 3, 21, uint32(tt.cred.Flavor), tt.uid}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			if c.CredOK != tt.ok || c.Cred.Named != tt.named {
				t.Errorf("CredOK and Named: got %v %v, want %v %v", c.CredOK, c.Cred.Named, tt.ok, tt.named)
			}
			if tt.ok && !slices.Equal(c.Cred.Groups(), tt.groups) {
				t.Errorf("groups: got %v, want %v", c.Cred.Groups(), tt.groups)
			}
			if string(d.B[d.Off:]) != "args" {
				t.Errorf("left at %q, want the arguments", d.B[d.Off:])
			}
		})
	}
}

// TestLongCredentials: what is too long for a credential, or a verifier, makes no call.
func TestLongCredentials(t *testing.T) {
	for n, want := range map[int]bool{oncrpc.MaxAuth: true, oncrpc.MaxAuth + 1: false} {
		var e xdr.Encoder
		for _, v := range []uint32{1, 0, 2, 100003, 3, 0} { // a call of version 2 to NFS's NULL
			e.Uint32(v)
		}
		body := make([]byte, n)
		for _, lengths := range [][2]int{{n, 0}, {0, n}} {
			b := xdr.Encoder{B: bytes.Clone(e.B)}
			for _, l := range lengths {
				b.Uint32(uint32(rpcv2.AUTH_DH))
				b.Opaque(body[:l])
			}
			if got := oncrpc.DecodeCall(&xdr.Decoder{B: b.B}, &oncrpc.Call{}); got != want {
				t.Errorf("credential and verifier of %v bytes: taken for a call: %v", lengths, got)
			}
		}
	}
}

// TestDecodeCallReused: nothing of an earlier call stays.
func TestDecodeCallReused(t *testing.T) {
	var c oncrpc.Call
	sys := authsys(t, rpcv2.AuthsysParms{Uid: 501, Gid: 20, Gids: []uint32{7}})
	for _, cred := range []rpcv2.OpaqueAuth{sys, {}, {Flavor: rpcv2.AUTH_DH}} {
		oncrpc.DecodeCall(&xdr.Decoder{B: call(t, rpcv2.CallBody{Rpcvers: 2, Cred: cred})}, &c)
	}
	if c.Cred.UID != 0 || c.Cred.GID != 0 || len(c.Cred.Groups()) != 0 {
		t.Errorf("got %+v, want no trace of uid 501", c.Cred)
	}
}

func TestDecodeNoCall(t *testing.T) {
	good := call(t, rpcv2.CallBody{Rpcvers: 2, Cred: authsys(t, rpcv2.AuthsysParms{Uid: 1})})
	for n := range len(good) - len("args") {
		var c oncrpc.Call
		if oncrpc.DecodeCall(&xdr.Decoder{B: good[:n]}, &c) {
			t.Errorf("the first %d bytes are taken for a call", n)
		}
	}
	var e xdr.Encoder
	oncrpc.AppendAccepted(&e, 1, oncrpc.Success)
	if oncrpc.DecodeCall(&xdr.Decoder{B: e.B}, &oncrpc.Call{}) {
		t.Error("a reply is taken for a call")
	}
	var c oncrpc.Call
	if !oncrpc.DecodeCall(&xdr.Decoder{B: call(t, rpcv2.CallBody{Rpcvers: 3})}, &c) || c.RPCVersion != 3 {
		t.Errorf("RPC version 3: got %d, want a call of version 3", c.RPCVersion)
	}
}

func TestAppendCall(t *testing.T) {
	cred := oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: 501, GID: 20}
	cred.SetGroups(12, 61)
	sys := authsys(t, rpcv2.AuthsysParms{Uid: 501, Gid: 20, Gids: []uint32{12, 61}})
	for name, tt := range map[string]struct {
		cred oncrpc.Cred
		want rpcv2.OpaqueAuth
	}{"none": {oncrpc.Cred{}, rpcv2.OpaqueAuth{}}, "sys": {cred, sys}} {
		e := xdr.Encoder{}
		oncrpc.AppendCall(&e, 0xdeadbeef, 100005, 3, 1, &tt.cred)
		want := call(t, rpcv2.CallBody{Rpcvers: 2, Prog: 100005, Vers: 3, Proc: 1, Cred: tt.want})
		if got := append(e.B, "args"...); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
	}
}

func TestSetGroupsKeepsSixteen(t *testing.T) {
	var c oncrpc.Cred
	c.SetGroups(make([]uint32, 40)...)
	if got := len(c.Groups()); got != oncrpc.MaxGroups {
		t.Errorf("got %d groups, want %d", got, oncrpc.MaxGroups)
	}
}

// TestReplies: buildbarn's codec writes what we write, and we read it.
func TestReplies(t *testing.T) {
	mismatch := &rpcv2.AcceptedReplyData_PROG_MISMATCH{}
	mismatch.MismatchInfo.Low, mismatch.MismatchInfo.High = 3, 4
	versions := &rpcv2.RejectedReply_RPC_MISMATCH{}
	versions.MismatchInfo.Low, versions.MismatchInfo.High = 2, 2
	accepted := func(d rpcv2.AcceptedReplyData) rpcv2.ReplyBody {
		return &rpcv2.ReplyBody_MSG_ACCEPTED{Areply: rpcv2.AcceptedReply{ReplyData: d}}
	}
	other := func(s rpcv2.AcceptStat) rpcv2.ReplyBody { return accepted(&rpcv2.AcceptedReplyData_default{Stat: s}) }
	stat := func(s oncrpc.AcceptStat) func(*xdr.Encoder) {
		return func(e *xdr.Encoder) { oncrpc.AppendAccepted(e, 5, s) }
	}
	tt := []struct {
		name string
		body rpcv2.ReplyBody
		make func(e *xdr.Encoder)
		want oncrpc.Reply
	}{
		{"success", accepted(&rpcv2.AcceptedReplyData_SUCCESS{}), stat(oncrpc.Success), oncrpc.Reply{Accepted: true}},
		{"prog unavail", other(rpcv2.PROG_UNAVAIL), stat(oncrpc.ProgUnavail), oncrpc.Reply{Accepted: true, Accept: oncrpc.ProgUnavail}},
		{"prog mismatch", accepted(mismatch), func(e *xdr.Encoder) {
			oncrpc.AppendAccepted(e, 5, oncrpc.ProgMismatch)
			e.Uint32(3)
			e.Uint32(4)
		}, oncrpc.Reply{Accepted: true, Accept: oncrpc.ProgMismatch, Low: 3, High: 4}},
		{"proc unavail", other(rpcv2.PROC_UNAVAIL), stat(oncrpc.ProcUnavail), oncrpc.Reply{Accepted: true, Accept: oncrpc.ProcUnavail}},
		{"garbage args", other(rpcv2.GARBAGE_ARGS), stat(oncrpc.GarbageArgs), oncrpc.Reply{Accepted: true, Accept: oncrpc.GarbageArgs}},
		{"system err", other(rpcv2.SYSTEM_ERR), stat(oncrpc.SystemErr), oncrpc.Reply{Accepted: true, Accept: oncrpc.SystemErr}},
		{
			"rpc mismatch", &rpcv2.ReplyBody_MSG_DENIED{Rreply: versions},
			func(e *xdr.Encoder) { oncrpc.AppendRPCMismatch(e, 5) },
			oncrpc.Reply{Low: 2, High: 2},
		},
		{
			"auth error", &rpcv2.ReplyBody_MSG_DENIED{Rreply: &rpcv2.RejectedReply_AUTH_ERROR{Stat: rpcv2.AUTH_TOOWEAK}},
			func(e *xdr.Encoder) { oncrpc.AppendAuthError(e, 5, oncrpc.AuthTooWeak) },
			oncrpc.Reply{Reject: oncrpc.AuthError, Auth: oncrpc.AuthTooWeak},
		},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			var want bytes.Buffer
			msg := rpcv2.RpcMsg{Xid: 5, Body: &rpcv2.RpcMsgBody_REPLY{Rbody: tt.body}}
			if _, err := msg.WriteTo(&want); err != nil {
				t.Fatal(err)
			}
			var e xdr.Encoder
			tt.make(&e)
			if !bytes.Equal(e.B, want.Bytes()) {
				t.Errorf("got %x, want %x", e.B, want.Bytes())
			}
			tt.want.XID = 5
			checkDecodes(t, want.Bytes(), tt.want)
		})
	}
}

// checkDecodes: a reply is read whole, and none of its beginnings is one.
func checkDecodes(t *testing.T, msg []byte, want oncrpc.Reply) {
	t.Helper()
	d := xdr.Decoder{B: msg}
	if got, err := oncrpc.DecodeReply(&d); err != nil || got != want || d.Left() != 0 {
		t.Errorf("got %+v, error %v, %d bytes left, want %+v", got, err, d.Left(), want)
	}
	for n := range msg {
		if _, err := oncrpc.DecodeReply(&xdr.Decoder{B: msg[:n]}); err == nil {
			t.Errorf("the first %d bytes decode too", n)
		}
	}
}
