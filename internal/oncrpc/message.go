package oncrpc

import (
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// The RPC version, the message types and the two authentication flavors that
// NFSv3 over loopback uses (RFC 5531 §9, §8.1).
const (
	Version = 2

	MsgCall  = 0
	MsgReply = 1

	AuthNone = 0
	AuthSys  = 1

	// MaxAuth bounds an opaque_auth body (RFC 5531 §8.2).
	MaxAuth = 400
	// MaxGroups bounds the gids of an AUTH_SYS credential.
	MaxGroups = 16
	// maxMachineName bounds an AUTH_SYS machinename.
	maxMachineName = 255
)

// AcceptStat says what became of an accepted call (RFC 5531 §9).
type AcceptStat uint32

// The values of AcceptStat.
const (
	Success      AcceptStat = 0
	ProgUnavail  AcceptStat = 1
	ProgMismatch AcceptStat = 2
	ProcUnavail  AcceptStat = 3
	GarbageArgs  AcceptStat = 4
	SystemErr    AcceptStat = 5
)

// RejectStat says why a call was denied (RFC 5531 §9).
type RejectStat uint32

// The values of RejectStat.
const (
	RPCMismatch RejectStat = 0
	AuthError   RejectStat = 1
)

// AuthStat says why authentication failed (RFC 5531 §9).
type AuthStat uint32

// The values of AuthStat that are used here.
const (
	AuthBadCred      AuthStat = 1
	AuthRejectedCred AuthStat = 2
	AuthTooWeak      AuthStat = 5
)

const (
	msgAccepted = 0
	msgDenied   = 1
)

// Cred is a caller's credential. Of an AUTH_NONE call only Flavor is set.
type Cred struct {
	Flavor   uint32
	UID, GID uint32
	// Named says that the credential names the client's host, which Apple's client never does.
	Named   bool
	groups  [MaxGroups]uint32
	ngroups int
}

// Groups are the supplementary groups.
func (c *Cred) Groups() []uint32 { return c.groups[:c.ngroups] }

// SetGroups sets the supplementary groups. Those beyond MaxGroups are left out,
// as clients do.
func (c *Cred) SetGroups(gids ...uint32) { c.ngroups = copy(c.groups[:], gids) }

// Call is the header of a call message.
type Call struct {
	XID        uint32
	RPCVersion uint32
	Prog, Vers uint32
	Proc       uint32
	Cred       Cred
	// CredOK is false when the credential could not be understood: its flavor
	// is unknown or its body malformed.
	CredOK bool
}

// DecodeCall reads a call's header; d is left at the procedure's arguments. It
// reports false when the message is no call at all and cannot be answered. Of a
// call in another RPC version only XID and RPCVersion are set.
func DecodeCall(d *xdr.Decoder, c *Call) bool {
	c.XID = d.Uint32()
	if d.Uint32() != MsgCall {
		return false
	}
	c.RPCVersion = d.Uint32()
	if d.Err != nil || c.RPCVersion != Version {
		return d.Err == nil
	}
	c.Prog, c.Vers, c.Proc = d.Uint32(), d.Uint32(), d.Uint32()
	c.Cred.Flavor = d.Uint32()
	body := d.Opaque(MaxAuth)
	d.Uint32() // verifier: AUTH_NONE with both flavors
	d.Opaque(MaxAuth)
	c.CredOK = decodeCred(body, &c.Cred)
	return d.Err == nil
}

func decodeCred(body []byte, c *Cred) bool {
	c.UID, c.GID, c.ngroups, c.Named = 0, 0, 0, false
	switch c.Flavor {
	case AuthNone:
		return true
	case AuthSys:
		d := xdr.Decoder{B: body}
		d.Uint32() // stamp
		c.Named = len(d.Opaque(maxMachineName)) > 0
		c.UID, c.GID = d.Uint32(), d.Uint32()
		n := d.Uint32()
		if n > MaxGroups {
			return false
		}
		for i := range int(n) {
			c.groups[i] = d.Uint32()
		}
		c.ngroups = int(n)
		return d.Err == nil
	}
	return false
}

// AppendCall appends a call's header with an AUTH_SYS or AUTH_NONE credential.
func AppendCall(e *xdr.Encoder, xid, prog, vers, proc uint32, cred *Cred) {
	for _, v := range [...]uint32{xid, MsgCall, Version, prog, vers, proc, cred.Flavor} {
		e.Uint32(v)
	}
	at := len(e.B)
	e.Uint32(0)
	if cred.Flavor == AuthSys {
		e.Uint32(0) // stamp
		e.String(machineName(cred))
		e.Uint32(cred.UID)
		e.Uint32(cred.GID)
		e.Uint32(uint32(cred.ngroups))
		for _, g := range cred.Groups() {
			e.Uint32(g)
		}
	}
	e.Patch32(at, uint32(len(e.B)-at-4))
	e.Uint32(AuthNone)
	e.Uint32(0)
}

// machineName is empty as Apple's client has it, or names some host.
func machineName(c *Cred) string {
	if c.Named {
		return "client"
	}
	return ""
}

// AppendAccepted appends the header of an accepted reply. PROG_MISMATCH is
// followed by the lowest and highest version, Success by the results.
func AppendAccepted(e *xdr.Encoder, xid uint32, st AcceptStat) {
	for _, v := range [...]uint32{xid, MsgReply, msgAccepted, AuthNone, 0, uint32(st)} {
		e.Uint32(v)
	}
}

// AppendRPCMismatch appends the whole reply to a call in another RPC version.
func AppendRPCMismatch(e *xdr.Encoder, xid uint32) {
	for _, v := range [...]uint32{xid, MsgReply, msgDenied, uint32(RPCMismatch), Version, Version} {
		e.Uint32(v)
	}
}

// AppendAuthError appends the whole reply to a call that was not authenticated.
func AppendAuthError(e *xdr.Encoder, xid uint32, st AuthStat) {
	for _, v := range [...]uint32{xid, MsgReply, msgDenied, uint32(AuthError), uint32(st)} {
		e.Uint32(v)
	}
}

// Reply is the header of a reply message.
type Reply struct {
	XID      uint32
	Accepted bool
	Accept   AcceptStat // when Accepted
	Reject   RejectStat // when not
	Auth     AuthStat   // when Reject is AuthError
	Low      uint32     // versions, when Accept is ProgMismatch or Reject is RPCMismatch
	High     uint32
}

// DecodeReply reads a reply's header; d is left at the procedure's results.
func DecodeReply(d *xdr.Decoder) (r Reply, err error) {
	r.XID = d.Uint32()
	if d.Uint32() != MsgReply {
		return r, xdr.ErrBad
	}
	r.Accepted = d.Uint32() == msgAccepted
	if r.Accepted {
		d.Uint32()
		d.Opaque(MaxAuth)
		r.Accept = AcceptStat(d.Uint32())
		if r.Accept == ProgMismatch {
			r.Low, r.High = d.Uint32(), d.Uint32()
		}
		return r, d.Err
	}
	r.Reject = RejectStat(d.Uint32())
	if r.Reject == RPCMismatch {
		r.Low, r.High = d.Uint32(), d.Uint32()
	} else {
		r.Auth = AuthStat(d.Uint32())
	}
	return r, d.Err
}
