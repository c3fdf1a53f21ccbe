package nfsclient

import "fmt"

// Programs and their versions (RFC 1813 §3, §5; UMNT came unchanged from
// version 1 of MOUNT, RFC 1094 §A.5).
const (
	NFSProgram   = 100003
	NFSVersion   = 3
	MountProgram = 100005
	MountVersion = 3
)

// Proc names one procedure of one version of a program.
type Proc struct{ Prog, Vers, Num uint32 }

// NFSProc is the NFSv3 procedure num.
func NFSProc(num uint32) Proc { return Proc{NFSProgram, NFSVersion, num} }

// MountProc is the MOUNT version 3 procedure num.
func MountProc(num uint32) Proc { return Proc{MountProgram, MountVersion, num} }

// NFSv3 procedures (RFC 1813 §3.3).
const (
	ProcNull = iota
	ProcGetattr
	ProcSetattr
	ProcLookup
	ProcAccess
	ProcReadlink
	ProcRead
	ProcWrite
	ProcCreate
	ProcMkdir
	ProcSymlink
	ProcMknod
	ProcRemove
	ProcRmdir
	ProcRename
	ProcLink
	ProcReaddir
	ProcReaddirplus
	ProcFsstat
	ProcFsinfo
	ProcPathconf
	ProcCommit
)

// MOUNT procedures (RFC 1813 §5.2).
const (
	ProcMountNull = iota
	ProcMnt
	ProcDump
	ProcUmnt
	ProcUmntall
	ProcExport
)

var nfsNames = [...]string{
	"NULL", "GETATTR", "SETATTR", "LOOKUP", "ACCESS", "READLINK", "READ", "WRITE", "CREATE", "MKDIR", "SYMLINK",
	"MKNOD", "REMOVE", "RMDIR", "RENAME", "LINK", "READDIR", "READDIRPLUS", "FSSTAT", "FSINFO", "PATHCONF", "COMMIT",
}

var mountNames = [...]string{"MNTNULL", "MNT", "DUMP", "UMNT", "UMNTALL", "EXPORT"}

// String is the procedure's name in RFC 1813, or its numbers.
func (p Proc) String() string {
	switch {
	case p.Prog == NFSProgram && p.Vers == NFSVersion && p.Num < uint32(len(nfsNames)):
		return nfsNames[p.Num]
	case p.Prog == MountProgram && p.Vers == MountVersion && p.Num < uint32(len(mountNames)):
		return mountNames[p.Num]
	}
	return fmt.Sprintf("%d.%d.%d", p.Prog, p.Vers, p.Num)
}
