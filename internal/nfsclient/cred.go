package nfsclient

import (
	"os"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
)

// AuthSys is an AUTH_SYS credential.
func AuthSys(uid, gid uint32, groups ...uint32) oncrpc.Cred {
	c := oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: uid, GID: gid}
	c.SetGroups(groups...)
	return c
}

// Self is the AUTH_SYS credential of this process's user.
func Self() oncrpc.Cred { return AuthSys(uint32(os.Getuid()), uint32(os.Getgid())) }
