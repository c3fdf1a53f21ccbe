package nfsclient

import "strconv"

// Status is an nfsstat3 (RFC 1813 §2.6) or a mountstat3 (§5.1.5): where both
// have a value it means the same. Every value but OK is an error.
type Status uint32

// The values of Status.
const (
	OK             Status = 0
	ErrPerm        Status = 1
	ErrNoEnt       Status = 2
	ErrIO          Status = 5
	ErrNXIO        Status = 6
	ErrAcces       Status = 13
	ErrExist       Status = 17
	ErrXDev        Status = 18
	ErrNoDev       Status = 19
	ErrNotDir      Status = 20
	ErrIsDir       Status = 21
	ErrInval       Status = 22
	ErrFBig        Status = 27
	ErrNoSpc       Status = 28
	ErrROFS        Status = 30
	ErrMLink       Status = 31
	ErrNameTooLong Status = 63
	ErrNotEmpty    Status = 66
	ErrDQuot       Status = 69
	ErrStale       Status = 70
	ErrRemote      Status = 71
	ErrBadHandle   Status = 10001
	ErrNotSync     Status = 10002
	ErrBadCookie   Status = 10003
	ErrNotSupp     Status = 10004
	ErrTooSmall    Status = 10005
	ErrServerFault Status = 10006
	ErrBadType     Status = 10007
	ErrJukebox     Status = 10008
)

// statusNames are the names of RFC 1813 without their prefix.
var statusNames = map[Status]string{
	OK: "OK", ErrPerm: "PERM", ErrNoEnt: "NOENT", ErrIO: "IO", ErrNXIO: "NXIO",
	ErrAcces: "ACCES", ErrExist: "EXIST", ErrXDev: "XDEV", ErrNoDev: "NODEV",
	ErrNotDir: "NOTDIR", ErrIsDir: "ISDIR", ErrInval: "INVAL", ErrFBig: "FBIG",
	ErrNoSpc: "NOSPC", ErrROFS: "ROFS", ErrMLink: "MLINK",
	ErrNameTooLong: "NAMETOOLONG", ErrNotEmpty: "NOTEMPTY", ErrDQuot: "DQUOT",
	ErrStale: "STALE", ErrRemote: "REMOTE", ErrBadHandle: "BADHANDLE",
	ErrNotSync: "NOT_SYNC", ErrBadCookie: "BAD_COOKIE", ErrNotSupp: "NOTSUPP",
	ErrTooSmall: "TOOSMALL", ErrServerFault: "SERVERFAULT", ErrBadType: "BADTYPE",
	ErrJukebox: "JUKEBOX",
}

// String is the name in RFC 1813 without its prefix, or the number.
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return "status " + strconv.FormatUint(uint64(s), 10)
}

// Error is the status as an error's text.
func (s Status) Error() string { return "nfs: " + s.String() }

// err is s as an error: nil when the call was carried out.
func (s Status) err() error {
	if s == OK {
		return nil
	}
	return s
}
