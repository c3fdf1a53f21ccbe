package nfsclient

import (
	"encoding/hex"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// Bounds of RFC 1813 §2.4 and of what a client has to take.
const (
	maxFH   = 64
	maxName = 255
	maxPath = 4096
	maxData = 4 << 20
)

// FH is a file handle. It is a string so that handles can be compared and be keys.
type FH string

// String is the handle in hexadecimal.
func (h FH) String() string { return hex.EncodeToString([]byte(h)) }

// Type is an ftype3.
type Type uint32

// The values of Type (RFC 1813 §2.5).
const (
	Reg  Type = 1
	Dir  Type = 2
	Blk  Type = 3
	Chr  Type = 4
	Lnk  Type = 5
	Sock Type = 6
	FIFO Type = 7
)

// Stable is a stable_how (RFC 1813 §3.3.7).
type Stable uint32

// The values of Stable.
const (
	Unstable Stable = 0
	DataSync Stable = 1
	FileSync Stable = 2
)

// CreateMode is a createmode3 (RFC 1813 §3.3.8).
type CreateMode uint32

// The values of CreateMode.
const (
	Unchecked CreateMode = 0
	Guarded   CreateMode = 1
	Exclusive CreateMode = 2
)

// Rights of Access (RFC 1813 §3.3.4).
const (
	AccessRead    = 1
	AccessLookup  = 2
	AccessModify  = 4
	AccessExtend  = 8
	AccessDelete  = 16
	AccessExecute = 32
)

// Verf is a cookie, write or create verifier.
type Verf [8]byte

// Time is an nfstime3.
type Time struct{ Sec, Nsec uint32 }

// Time is t as the standard library has it.
func (t Time) Time() time.Time { return time.Unix(int64(t.Sec), int64(t.Nsec)) }

// Attr is a fattr3. Where the protocol makes attributes optional (post_op_attr)
// a *Attr stands, nil when the server sent none.
type Attr struct {
	Type                Type
	Mode                uint32 // permission bits, without the type
	Nlink               uint32
	UID, GID            uint32
	Size                uint64 // bytes
	Used                uint64 // bytes on disk
	Major, Minor        uint32 // of a device
	FSID                uint64
	Fileid              uint64
	Atime, Mtime, Ctime Time
}

// WccAttr is a wcc_attr: an object's attributes before a change.
type WccAttr struct {
	Size         uint64
	Mtime, Ctime Time
}

// Wcc is a wcc_data: an object around a change, as far as the server told.
type Wcc struct {
	Before *WccAttr
	After  *Attr
}

// TimeHow is a time_how.
type TimeHow uint32

// The values of TimeHow (RFC 1813 §2.5.3).
const (
	DontChange TimeHow = 0
	ServerTime TimeHow = 1
	ClientTime TimeHow = 2
)

// SetTime is a set_atime or set_mtime. Time goes with ClientTime.
type SetTime struct {
	How  TimeHow
	Time Time
}

// SetAttr is a sattr3: nil and DontChange leave an attribute as it is.
type SetAttr struct {
	Mode, UID, GID *uint32
	Size           *uint64
	Atime, Mtime   SetTime
}

func decodeFH(d *xdr.Decoder) FH { return FH(d.Opaque(maxFH)) }

func decodeVerf(d *xdr.Decoder) (v Verf) {
	copy(v[:], d.Fixed(len(v)))
	return v
}

func decodePostFH(d *xdr.Decoder) *FH {
	if !d.Bool() {
		return nil
	}
	return new(decodeFH(d))
}

func decodeTime(d *xdr.Decoder) Time { return Time{d.Uint32(), d.Uint32()} }

func decodeAttr(d *xdr.Decoder) Attr {
	return Attr{
		Type: Type(d.Uint32()), Mode: d.Uint32(), Nlink: d.Uint32(), UID: d.Uint32(), GID: d.Uint32(),
		Size: d.Uint64(), Used: d.Uint64(), Major: d.Uint32(), Minor: d.Uint32(), FSID: d.Uint64(), Fileid: d.Uint64(),
		Atime: decodeTime(d), Mtime: decodeTime(d), Ctime: decodeTime(d),
	}
}

func decodePostAttr(d *xdr.Decoder) *Attr {
	if !d.Bool() {
		return nil
	}
	return new(decodeAttr(d))
}

func decodeWcc(d *xdr.Decoder) (w Wcc) {
	if d.Bool() {
		w.Before = &WccAttr{Size: d.Uint64(), Mtime: decodeTime(d), Ctime: decodeTime(d)}
	}
	w.After = decodePostAttr(d)
	return w
}

func (t Time) encode(e *xdr.Encoder) {
	e.Uint32(t.Sec)
	e.Uint32(t.Nsec)
}

func (t SetTime) encode(e *xdr.Encoder) {
	e.Uint32(uint32(t.How))
	if t.How == ClientTime {
		t.Time.encode(e)
	}
}

func (s *SetAttr) encode(e *xdr.Encoder) {
	for _, v := range [...]*uint32{s.Mode, s.UID, s.GID} {
		e.Bool(v != nil)
		if v != nil {
			e.Uint32(*v)
		}
	}
	e.Bool(s.Size != nil)
	if s.Size != nil {
		e.Uint64(*s.Size)
	}
	s.Atime.encode(e)
	s.Mtime.encode(e)
}
