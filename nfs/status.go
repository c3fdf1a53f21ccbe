package nfs

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// status is an nfsstat3 (RFC 1813 §2.6). The mountstat3 values that are used
// (§5.1.5) are numbered alike. As an error it stands for itself.
type status uint32

const (
	statusOK          status = 0
	statusPerm        status = 1
	statusNoEnt       status = 2
	statusIO          status = 5
	statusNXIO        status = 6
	statusAcces       status = 13
	statusExist       status = 17
	statusXDev        status = 18
	statusNoDev       status = 19
	statusNotDir      status = 20
	statusIsDir       status = 21
	statusInval       status = 22
	statusFBig        status = 27
	statusNoSpc       status = 28
	statusROFS        status = 30
	statusMLink       status = 31
	statusNameTooLong status = 63
	statusNotEmpty    status = 66
	statusDQuot       status = 69
	statusStale       status = 70
	statusBadHandle   status = 10001
	statusNotSync     status = 10002
	statusNotSupp     status = 10004
	statusTooSmall    status = 10005
	statusServerFault status = 10006
	statusBadType     status = 10007
	statusJukebox     status = 10008
)

// errnos says what becomes of each error number; those met most come first.
// Whatever is not here is NFS3ERR_IO.
var errnos = [...]struct {
	errno syscall.Errno
	st    status
}{
	{syscall.ENOENT, statusNoEnt},
	{syscall.EEXIST, statusExist},
	{syscall.ESTALE, statusStale},
	{syscall.EACCES, statusAcces},
	{syscall.EPERM, statusPerm},
	{syscall.ENOTDIR, statusNotDir},
	{syscall.EISDIR, statusIsDir},
	{syscall.EINVAL, statusInval},
	{syscall.ENOTEMPTY, statusNotEmpty},
	{syscall.ENAMETOOLONG, statusNameTooLong},
	{syscall.EROFS, statusROFS},
	{syscall.ENOSPC, statusNoSpc},
	{syscall.EDQUOT, statusDQuot},
	{syscall.EFBIG, statusFBig},
	{syscall.EMLINK, statusMLink},
	{syscall.EXDEV, statusXDev},
	{syscall.ENXIO, statusNXIO},
	{syscall.ENODEV, statusNoDev},
	{syscall.ENOTSUP, statusNotSupp},
	{syscall.EOPNOTSUPP, statusNotSupp}, // another number on macOS
	{syscall.ENOSYS, statusNotSupp},
	// O_NOFOLLOW met a symlink: an object of the wrong type (§3.3.6, §3.3.7).
	{syscall.ELOOP, statusInval},
	{syscall.EOVERFLOW, statusInval},
	{syscall.ETXTBSY, statusAcces},
	// What passes by itself, such as another caller's long copy-up (Caller.Retries): a
	// client that waits some seconds and asks again serves its user better than an I/O
	// error in the middle of a build.
	{syscall.EMFILE, statusJukebox},
	{syscall.ENFILE, statusJukebox},
	{syscall.ENOMEM, statusJukebox},
	{syscall.EAGAIN, statusJukebox},
	{syscall.EIO, statusIO},
}

// kinds are the errors that are no error number.
var kinds = [...]struct {
	err error
	st  status
}{
	{overlay.ErrNotSync, statusNotSync},
	{overlay.ErrBadType, statusBadType},
	{fs.ErrNotExist, statusNoEnt},
	{fs.ErrExist, statusExist},
	{fs.ErrPermission, statusAcces},
	{fs.ErrInvalid, statusInval},
	{errors.ErrUnsupported, statusNotSupp},
}

// statusOf gives err's status; known is false for an error that nobody foresaw.
func statusOf(err error) (st status, known bool) {
	switch e := err.(type) {
	case nil:
		return statusOK, true
	case status:
		return e, true
	case syscall.Errno:
		return statusOfErrno(e)
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return statusOfErrno(e)
	}
	for _, k := range &kinds {
		if errors.Is(err, k.err) {
			return k.st, true
		}
	}
	return statusIO, false
}

func statusOfErrno(e syscall.Errno) (status, bool) {
	for i := range errnos {
		if errnos[i].errno == e {
			return errnos[i].st, true
		}
	}
	return statusIO, false
}

// names are as RFC 1813 has them, without NFS3ERR_.
var statusNames = map[status]string{
	statusOK: "OK", statusPerm: "PERM", statusNoEnt: "NOENT", statusIO: "IO",
	statusNXIO: "NXIO", statusAcces: "ACCES", statusExist: "EXIST",
	statusXDev: "XDEV", statusNoDev: "NODEV", statusNotDir: "NOTDIR",
	statusIsDir: "ISDIR", statusInval: "INVAL", statusFBig: "FBIG",
	statusNoSpc: "NOSPC", statusROFS: "ROFS", statusMLink: "MLINK",
	statusNameTooLong: "NAMETOOLONG", statusNotEmpty: "NOTEMPTY",
	statusDQuot: "DQUOT", statusStale: "STALE", statusBadHandle: "BADHANDLE",
	statusNotSync: "NOT_SYNC", statusNotSupp: "NOTSUPP",
	statusTooSmall: "TOOSMALL", statusServerFault: "SERVERFAULT",
	statusBadType: "BADTYPE", statusJukebox: "JUKEBOX",
}

// Error gives the name in RFC 1813, without NFS3ERR_.
func (s status) Error() string { return statusNames[s] }
