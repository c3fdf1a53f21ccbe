package nfs

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

func TestStatusOf(t *testing.T) {
	for _, tt := range []struct {
		err   error
		want  status
		known bool
	}{
		{nil, statusOK, true},
		{syscall.ENOENT, statusNoEnt, true},
		{syscall.EPERM, statusPerm, true},
		{syscall.EACCES, statusAcces, true},
		{syscall.EIO, statusIO, true},
		{syscall.ENXIO, statusNXIO, true},
		{syscall.EEXIST, statusExist, true},
		{syscall.EXDEV, statusXDev, true},
		{syscall.ENODEV, statusNoDev, true},
		{syscall.ENOTDIR, statusNotDir, true},
		{syscall.EISDIR, statusIsDir, true},
		{syscall.EINVAL, statusInval, true},
		{syscall.EFBIG, statusFBig, true},
		{syscall.ENOSPC, statusNoSpc, true},
		{syscall.EROFS, statusROFS, true},
		{syscall.EMLINK, statusMLink, true},
		{syscall.ENAMETOOLONG, statusNameTooLong, true},
		{syscall.ENOTEMPTY, statusNotEmpty, true},
		{syscall.EDQUOT, statusDQuot, true},
		{syscall.ESTALE, statusStale, true},
		{syscall.ENOTSUP, statusNotSupp, true},
		{syscall.EOPNOTSUPP, statusNotSupp, true},
		{syscall.ELOOP, statusInval, true},
		{syscall.EMFILE, statusJukebox, true},
		{syscall.ENOMEM, statusJukebox, true},
		{overlay.ErrNotSync, statusNotSync, true},
		{overlay.ErrBadType, statusBadType, true},
		{fs.ErrNotExist, statusNoEnt, true},
		{fs.ErrExist, statusExist, true},
		{fs.ErrPermission, statusAcces, true},
		{fs.ErrInvalid, statusInval, true},
		{errors.ErrUnsupported, statusNotSupp, true},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOSPC}, statusNoSpc, true},
		{fmt.Errorf("copy up x: %w", &fs.PathError{Op: "open", Err: fs.ErrNotExist}), statusNoEnt, true},
		{fmt.Errorf("set: %w", overlay.ErrNotSync), statusNotSync, true},
		{statusBadHandle, statusBadHandle, true},
		{syscall.ENOTTY, statusIO, false},
		{errors.New("what"), statusIO, false},
		// A worker has nobody to ask again.
		{overlay.ErrWouldBlock, statusIO, false},
	} {
		got, known := statusOf(tt.err)
		if got != tt.want || known != tt.known {
			t.Errorf("%v: got %v %v, want %v %v", tt.err, got, known, tt.want, tt.known)
		}
	}
}

func TestStatusNames(t *testing.T) {
	for _, e := range errnos {
		if e.st.Error() == "" {
			t.Errorf("status %d has no name", uint32(e.st))
		}
	}
}
