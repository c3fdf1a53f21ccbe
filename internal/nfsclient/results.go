package nfsclient

import "github.com/nixnfsd/nixnfsd/internal/xdr"

// Results are a procedure's results.
type Results interface {
	// Decode reads them. Malformed ones leave d.Err set.
	Decode(d *xdr.Decoder) Status
}

// VoidRes are the results of a procedure that has none.
type VoidRes struct{}

// GetattrRes are GETATTR's results (RFC 1813 §3.3.1).
type GetattrRes struct{ Attr Attr }

// WccRes are the results of SETATTR, REMOVE and RMDIR (RFC 1813 §3.3.2, §3.3.12, §3.3.13).
type WccRes struct{ Wcc Wcc }

// LookupRes are LOOKUP's results (RFC 1813 §3.3.3).
type LookupRes struct {
	FH   FH
	Attr *Attr
	Dir  *Attr // on errors too
}

// AccessRes are ACCESS's results (RFC 1813 §3.3.4).
type AccessRes struct {
	Attr   *Attr // on errors too
	Access uint32
}

// ReadlinkRes are READLINK's results (RFC 1813 §3.3.5).
type ReadlinkRes struct {
	Attr   *Attr // on errors too
	Target string
}

// ReadRes are READ's results (RFC 1813 §3.3.6).
type ReadRes struct {
	Attr  *Attr // on errors too
	Count uint32
	EOF   bool
	Data  []byte
}

// WriteRes are WRITE's results (RFC 1813 §3.3.7).
type WriteRes struct {
	Wcc       Wcc // on errors too
	Count     uint32
	Committed Stable
	Verf      Verf
}

// CreateRes are the results of CREATE, MKDIR, SYMLINK and MKNOD (RFC 1813 §3.3.8–11).
type CreateRes struct {
	FH   *FH
	Attr *Attr
	Dir  Wcc // on errors too
}

// RenameRes are RENAME's results (RFC 1813 §3.3.14).
type RenameRes struct{ From, To Wcc } // on errors too

// LinkRes are LINK's results (RFC 1813 §3.3.15).
type LinkRes struct {
	Attr *Attr // on errors too
	Dir  Wcc   // on errors too
}

// Entry is one entry of a READDIR.
type Entry struct {
	Fileid uint64
	Name   string
	Cookie uint64
}

// ReaddirRes are READDIR's results (RFC 1813 §3.3.16).
type ReaddirRes struct {
	Dir     *Attr // on errors too
	Verf    Verf
	Entries []Entry
	EOF     bool
}

// EntryPlus is one entry of a READDIRPLUS.
type EntryPlus struct {
	Entry
	Attr *Attr
	FH   *FH
}

// ReaddirplusRes are READDIRPLUS's results (RFC 1813 §3.3.17).
type ReaddirplusRes struct {
	Dir     *Attr // on errors too
	Verf    Verf
	Entries []EntryPlus
	EOF     bool
}

// FsstatRes are FSSTAT's results (RFC 1813 §3.3.18).
type FsstatRes struct {
	Attr                              *Attr  // on errors too
	TotalBytes, FreeBytes, AvailBytes uint64 // Avail is what the caller may use
	TotalFiles, FreeFiles, AvailFiles uint64
	Invarsec                          uint32 // seconds that the numbers stay valid
}

// Properties of FsinfoRes (RFC 1813 §3.3.19).
const (
	FsinfoLink        = 1
	FsinfoSymlink     = 2
	FsinfoHomogeneous = 8
	FsinfoCanSetTime  = 16
)

// FsinfoRes are FSINFO's results (RFC 1813 §3.3.19). Sizes are in bytes.
type FsinfoRes struct {
	Attr                  *Attr // on errors too
	Rtmax, Rtpref, Rtmult uint32
	Wtmax, Wtpref, Wtmult uint32
	Dtpref                uint32
	MaxFileSize           uint64
	TimeDelta             Time // resolution of timestamps
	Properties            uint32
}

// PathconfRes are PATHCONF's results (RFC 1813 §3.3.20).
type PathconfRes struct {
	Attr             *Attr // on errors too
	LinkMax, NameMax uint32
	NoTrunc          bool
	ChownRestricted  bool
	CaseInsensitive  bool
	CasePreserving   bool
}

// CommitRes are COMMIT's results (RFC 1813 §3.3.21).
type CommitRes struct {
	Wcc  Wcc // on errors too
	Verf Verf
}

// Decode implements Results.
func (*VoidRes) Decode(*xdr.Decoder) Status { return OK }

// Decode implements Results.
func (r *GetattrRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	if s == OK {
		r.Attr = decodeAttr(d)
	}
	return s
}

// Decode implements Results.
func (r *WccRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Wcc = decodeWcc(d)
	return s
}

// Decode implements Results.
func (r *LookupRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	if s == OK {
		r.FH, r.Attr = decodeFH(d), decodePostAttr(d)
	}
	r.Dir = decodePostAttr(d)
	return s
}

// Decode implements Results.
func (r *AccessRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Attr = decodePostAttr(d)
	if s == OK {
		r.Access = d.Uint32()
	}
	return s
}

// Decode implements Results.
func (r *ReadlinkRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Attr = decodePostAttr(d)
	if s == OK {
		r.Target = string(d.Opaque(maxPath))
	}
	return s
}

// Decode implements Results.
func (r *ReadRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Attr = decodePostAttr(d)
	if s == OK {
		r.Count, r.EOF, r.Data = d.Uint32(), d.Bool(), d.Opaque(maxData)
	}
	return s
}

// Decode implements Results.
func (r *WriteRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Wcc = decodeWcc(d)
	if s == OK {
		r.Count, r.Committed, r.Verf = d.Uint32(), Stable(d.Uint32()), decodeVerf(d)
	}
	return s
}

// Decode implements Results.
func (r *CreateRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	if s == OK {
		r.FH, r.Attr = decodePostFH(d), decodePostAttr(d)
	}
	r.Dir = decodeWcc(d)
	return s
}

// Decode implements Results.
func (r *RenameRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.From, r.To = decodeWcc(d), decodeWcc(d)
	return s
}

// Decode implements Results.
func (r *LinkRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Attr, r.Dir = decodePostAttr(d), decodeWcc(d)
	return s
}

func decodeEntry(d *xdr.Decoder) Entry {
	return Entry{Fileid: d.Uint64(), Name: string(d.Opaque(maxName)), Cookie: d.Uint64()}
}

// Decode implements Results.
func (r *ReaddirRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Dir = decodePostAttr(d)
	if s != OK {
		return s
	}
	r.Verf = decodeVerf(d)
	for d.Bool() {
		r.Entries = append(r.Entries, decodeEntry(d))
	}
	r.EOF = d.Bool()
	return s
}

// Decode implements Results.
func (r *ReaddirplusRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Dir = decodePostAttr(d)
	if s != OK {
		return s
	}
	r.Verf = decodeVerf(d)
	for d.Bool() {
		r.Entries = append(r.Entries, EntryPlus{decodeEntry(d), decodePostAttr(d), decodePostFH(d)})
	}
	r.EOF = d.Bool()
	return s
}

// Decode implements Results.
func (r *FsstatRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Attr = decodePostAttr(d)
	if s == OK {
		r.TotalBytes, r.FreeBytes, r.AvailBytes = d.Uint64(), d.Uint64(), d.Uint64()
		r.TotalFiles, r.FreeFiles, r.AvailFiles = d.Uint64(), d.Uint64(), d.Uint64()
		r.Invarsec = d.Uint32()
	}
	return s
}

// Decode implements Results.
func (r *FsinfoRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Attr = decodePostAttr(d)
	if s == OK {
		r.Rtmax, r.Rtpref, r.Rtmult = d.Uint32(), d.Uint32(), d.Uint32()
		r.Wtmax, r.Wtpref, r.Wtmult = d.Uint32(), d.Uint32(), d.Uint32()
		r.Dtpref, r.MaxFileSize = d.Uint32(), d.Uint64()
		r.TimeDelta, r.Properties = decodeTime(d), d.Uint32()
	}
	return s
}

// Decode implements Results.
func (r *PathconfRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Attr = decodePostAttr(d)
	if s == OK {
		r.LinkMax, r.NameMax = d.Uint32(), d.Uint32()
		r.NoTrunc, r.ChownRestricted, r.CaseInsensitive, r.CasePreserving = d.Bool(), d.Bool(), d.Bool(), d.Bool()
	}
	return s
}

// Decode implements Results.
func (r *CommitRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	r.Wcc = decodeWcc(d)
	if s == OK {
		r.Verf = decodeVerf(d)
	}
	return s
}
