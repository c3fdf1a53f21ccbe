package nfs

import (
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

func TestAllowed(t *testing.T) {
	const (
		r = accessRead
		l = accessLookup
		w = accessModify | accessExtend
		d = accessDelete
		x = accessExecute
	)
	inGroup := withGroups(t, 1001, 5, 6, 100)
	for _, tt := range []struct {
		name string
		mode uint32
		cred oncrpc.Cred
		want uint32
	}{
		{"owner of nothing", 0o077, owner, 0},
		{"owner reads", 0o400, owner, r},
		{"owner writes", 0o200, owner, w},
		{"owner executes", 0o100, owner, x},
		{"group reads", 0o040, other, r},
		{"group before other", 0o707, other, 0},
		{"supplementary group", 0o020, inGroup, w},
		{"other", 0o001, oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: 7, GID: 7}, x},
		{"root", 0o000, root, r | w},
		{"root executes what somebody may", 0o001, root, r | w | x},
		{"directory, all", overlay.ModeDir | 0o700, owner, r | l | w | d},
		{"directory, list", overlay.ModeDir | 0o400, owner, r},
		{"directory, search", overlay.ModeDir | 0o100, owner, l},
		{"directory, write without search", overlay.ModeDir | 0o200, owner, 0},
		{"directory, write and search", overlay.ModeDir | 0o300, owner, l | w | d},
		{"directory, root", overlay.ModeDir, root, r | l | w | d},
	} {
		a := &overlay.Attr{Mode: tt.mode, UID: 1000, GID: 100}
		if got := allowed(a, &tt.cred); got != tt.want {
			t.Errorf("%s: got %#x, want %#x", tt.name, got, tt.want)
		}
	}
}

// withGroups gives the credential as it comes over the wire.
func withGroups(t *testing.T, uid, gid uint32, groups ...uint32) oncrpc.Cred {
	var body, e xdr.Encoder
	body.Uint32(0)
	body.String("")
	for _, v := range append([]uint32{uid, gid, uint32(len(groups))}, groups...) {
		body.Uint32(v)
	}
	for _, v := range []uint32{1, oncrpc.MsgCall, oncrpc.Version, progNFS, 3, 0, oncrpc.AuthSys} {
		e.Uint32(v)
	}
	e.Opaque(body.B)
	e.Uint64(0)
	var c oncrpc.Call
	if !oncrpc.DecodeCall(&xdr.Decoder{B: e.B}, &c) || !c.CredOK {
		t.Fatal("credential not understood")
	}
	return c.Cred
}
