package nfsclient

import "github.com/nixnfsd/nixnfsd/internal/xdr"

// Args are a procedure's arguments.
type Args interface {
	// Proc is the procedure that they belong to.
	Proc() Proc
	// Encode appends them.
	Encode(e *xdr.Encoder)
}

// VoidArgs are the arguments of a procedure that has none.
type VoidArgs struct{ P Proc }

// HandleArgs are the arguments of GETATTR, READLINK, FSSTAT, FSINFO and PATHCONF.
type HandleArgs struct {
	P  Proc
	FH FH
}

// NameArgs are the arguments of LOOKUP, REMOVE and RMDIR.
type NameArgs struct {
	P    Proc
	Dir  FH
	Name string
}

// PathArgs are the arguments of MNT and UMNT.
type PathArgs struct {
	P    Proc
	Path string
}

// SetattrArgs are the arguments of SETATTR (RFC 1813 §3.3.2).
type SetattrArgs struct {
	FH    FH
	Attr  SetAttr
	Guard *Time // the ctime that the object must have
}

// AccessArgs are the arguments of ACCESS (RFC 1813 §3.3.4).
type AccessArgs struct {
	FH     FH
	Access uint32
}

// ReadArgs are the arguments of READ (RFC 1813 §3.3.6).
type ReadArgs struct {
	FH     FH
	Offset uint64
	Count  uint32
}

// WriteArgs are the arguments of WRITE (RFC 1813 §3.3.7). Count should be len(Data).
type WriteArgs struct {
	FH     FH
	Offset uint64
	Count  uint32
	Stable Stable
	Data   []byte
}

// CreateArgs are the arguments of CREATE (RFC 1813 §3.3.8).
type CreateArgs struct {
	Dir  FH
	Name string
	Mode CreateMode
	Attr SetAttr // of Unchecked and Guarded
	Verf Verf    // of Exclusive
}

// MkdirArgs are the arguments of MKDIR (RFC 1813 §3.3.9).
type MkdirArgs struct {
	Dir  FH
	Name string
	Attr SetAttr
}

// SymlinkArgs are the arguments of SYMLINK (RFC 1813 §3.3.10).
type SymlinkArgs struct {
	Dir    FH
	Name   string
	Attr   SetAttr
	Target string
}

// MknodArgs are the arguments of MKNOD (RFC 1813 §3.3.11). Major and Minor go
// with devices, Attr with devices, sockets and FIFOs; other types carry nothing.
type MknodArgs struct {
	Dir          FH
	Name         string
	Type         Type
	Attr         SetAttr
	Major, Minor uint32
}

// RenameArgs are the arguments of RENAME (RFC 1813 §3.3.14).
type RenameArgs struct {
	FromDir  FH
	FromName string
	ToDir    FH
	ToName   string
}

// LinkArgs are the arguments of LINK (RFC 1813 §3.3.15).
type LinkArgs struct {
	FH   FH
	Dir  FH
	Name string
}

// ReaddirArgs are the arguments of READDIR (RFC 1813 §3.3.16).
type ReaddirArgs struct {
	Dir    FH
	Cookie uint64
	Verf   Verf
	Count  uint32 // bytes of the whole READDIR3resok
}

// ReaddirplusArgs are the arguments of READDIRPLUS (RFC 1813 §3.3.17).
type ReaddirplusArgs struct {
	Dir      FH
	Cookie   uint64
	Verf     Verf
	Dircount uint32 // bytes of names, fileids and cookies
	Maxcount uint32 // bytes of the whole READDIRPLUS3resok
}

// CommitArgs are the arguments of COMMIT (RFC 1813 §3.3.21).
type CommitArgs struct {
	FH     FH
	Offset uint64
	Count  uint32
}

// Proc implements Args.
func (a *VoidArgs) Proc() Proc { return a.P }

// Proc implements Args.
func (a *HandleArgs) Proc() Proc { return a.P }

// Proc implements Args.
func (a *NameArgs) Proc() Proc { return a.P }

// Proc implements Args.
func (a *PathArgs) Proc() Proc { return a.P }

// Proc implements Args.
func (a *SetattrArgs) Proc() Proc { return NFSProc(ProcSetattr) }

// Proc implements Args.
func (a *AccessArgs) Proc() Proc { return NFSProc(ProcAccess) }

// Proc implements Args.
func (a *ReadArgs) Proc() Proc { return NFSProc(ProcRead) }

// Proc implements Args.
func (a *WriteArgs) Proc() Proc { return NFSProc(ProcWrite) }

// Proc implements Args.
func (a *CreateArgs) Proc() Proc { return NFSProc(ProcCreate) }

// Proc implements Args.
func (a *MkdirArgs) Proc() Proc { return NFSProc(ProcMkdir) }

// Proc implements Args.
func (a *SymlinkArgs) Proc() Proc { return NFSProc(ProcSymlink) }

// Proc implements Args.
func (a *MknodArgs) Proc() Proc { return NFSProc(ProcMknod) }

// Proc implements Args.
func (a *RenameArgs) Proc() Proc { return NFSProc(ProcRename) }

// Proc implements Args.
func (a *LinkArgs) Proc() Proc { return NFSProc(ProcLink) }

// Proc implements Args.
func (a *ReaddirArgs) Proc() Proc { return NFSProc(ProcReaddir) }

// Proc implements Args.
func (a *ReaddirplusArgs) Proc() Proc { return NFSProc(ProcReaddirplus) }

// Proc implements Args.
func (a *CommitArgs) Proc() Proc { return NFSProc(ProcCommit) }

// Encode implements Args.
func (a *VoidArgs) Encode(*xdr.Encoder) {}

// Encode implements Args.
func (a *HandleArgs) Encode(e *xdr.Encoder) { e.String(string(a.FH)) }

// Encode implements Args.
func (a *NameArgs) Encode(e *xdr.Encoder) { encodeWhere(e, a.Dir, a.Name) }

// Encode implements Args.
func (a *PathArgs) Encode(e *xdr.Encoder) { e.String(a.Path) }

// Encode implements Args.
func (a *SetattrArgs) Encode(e *xdr.Encoder) {
	e.String(string(a.FH))
	a.Attr.encode(e)
	e.Bool(a.Guard != nil)
	if a.Guard != nil {
		a.Guard.encode(e)
	}
}

// Encode implements Args.
func (a *AccessArgs) Encode(e *xdr.Encoder) {
	e.String(string(a.FH))
	e.Uint32(a.Access)
}

// Encode implements Args.
func (a *ReadArgs) Encode(e *xdr.Encoder) {
	e.String(string(a.FH))
	e.Uint64(a.Offset)
	e.Uint32(a.Count)
}

// Encode implements Args.
func (a *WriteArgs) Encode(e *xdr.Encoder) {
	e.String(string(a.FH))
	e.Uint64(a.Offset)
	e.Uint32(a.Count)
	e.Uint32(uint32(a.Stable))
	e.Opaque(a.Data)
}

// Encode implements Args.
func (a *CreateArgs) Encode(e *xdr.Encoder) {
	encodeWhere(e, a.Dir, a.Name)
	e.Uint32(uint32(a.Mode))
	if a.Mode == Exclusive {
		e.Fixed(a.Verf[:])
		return
	}
	a.Attr.encode(e)
}

// Encode implements Args.
func (a *MkdirArgs) Encode(e *xdr.Encoder) {
	encodeWhere(e, a.Dir, a.Name)
	a.Attr.encode(e)
}

// Encode implements Args.
func (a *SymlinkArgs) Encode(e *xdr.Encoder) {
	encodeWhere(e, a.Dir, a.Name)
	a.Attr.encode(e)
	e.String(a.Target)
}

// Encode implements Args.
func (a *MknodArgs) Encode(e *xdr.Encoder) {
	encodeWhere(e, a.Dir, a.Name)
	e.Uint32(uint32(a.Type))
	switch a.Type {
	case Chr, Blk:
		a.Attr.encode(e)
		e.Uint32(a.Major)
		e.Uint32(a.Minor)
	case Sock, FIFO:
		a.Attr.encode(e)
	}
}

// Encode implements Args.
func (a *RenameArgs) Encode(e *xdr.Encoder) {
	encodeWhere(e, a.FromDir, a.FromName)
	encodeWhere(e, a.ToDir, a.ToName)
}

// Encode implements Args.
func (a *LinkArgs) Encode(e *xdr.Encoder) {
	e.String(string(a.FH))
	encodeWhere(e, a.Dir, a.Name)
}

// Encode implements Args.
func (a *ReaddirArgs) Encode(e *xdr.Encoder) {
	e.String(string(a.Dir))
	e.Uint64(a.Cookie)
	e.Fixed(a.Verf[:])
	e.Uint32(a.Count)
}

// Encode implements Args.
func (a *ReaddirplusArgs) Encode(e *xdr.Encoder) {
	e.String(string(a.Dir))
	e.Uint64(a.Cookie)
	e.Fixed(a.Verf[:])
	e.Uint32(a.Dircount)
	e.Uint32(a.Maxcount)
}

// Encode implements Args.
func (a *CommitArgs) Encode(e *xdr.Encoder) {
	e.String(string(a.FH))
	e.Uint64(a.Offset)
	e.Uint32(a.Count)
}

// encodeWhere appends a diropargs3.
func encodeWhere(e *xdr.Encoder, dir FH, name string) {
	e.String(string(dir))
	e.String(name)
}
