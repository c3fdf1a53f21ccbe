package applenfs

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// errnos are what programs get for a status (nfs_subs.c, nfs_maperr; the others have the
// numbers of macOS's own errors).
var errnos = map[nfsclient.Status]syscall.Errno{
	nfsclient.ErrPerm: syscall.EPERM, nfsclient.ErrNoEnt: syscall.ENOENT, nfsclient.ErrIO: syscall.EIO,
	nfsclient.ErrNXIO: syscall.ENXIO, nfsclient.ErrAcces: syscall.EACCES, nfsclient.ErrExist: syscall.EEXIST,
	nfsclient.ErrXDev: syscall.EXDEV, nfsclient.ErrNoDev: syscall.ENODEV, nfsclient.ErrNotDir: syscall.ENOTDIR,
	nfsclient.ErrIsDir: syscall.EISDIR, nfsclient.ErrInval: syscall.EINVAL, nfsclient.ErrFBig: syscall.EFBIG,
	nfsclient.ErrNoSpc: syscall.ENOSPC, nfsclient.ErrROFS: syscall.EROFS, nfsclient.ErrMLink: syscall.EMLINK,
	nfsclient.ErrNameTooLong: syscall.ENAMETOOLONG, nfsclient.ErrNotEmpty: syscall.ENOTEMPTY,
	nfsclient.ErrDQuot: syscall.EDQUOT, nfsclient.ErrStale: syscall.ESTALE, nfsclient.ErrRemote: syscall.EREMOTE,
	nfsclient.ErrBadHandle: syscall.ESTALE, nfsclient.ErrNotSupp: syscall.ENOTSUP,
}

// pathError is err as programs get it.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return &fs.PathError{Op: op, Path: path, Err: errno}
	}
	if status, ok := errors.AsType[nfsclient.Status](err); ok {
		if errno, ok := errnos[status]; ok {
			return &fs.PathError{Op: op, Path: path, Err: errno}
		}
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
