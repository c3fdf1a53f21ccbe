package nfsclient

import "github.com/nixnfsd/nixnfsd/internal/oncrpc"

// AuthSys is an AUTH_SYS credential.
func AuthSys(uid, gid uint32, groups ...uint32) oncrpc.Cred {
	c := oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: uid, GID: gid}
	c.SetGroups(groups...)
	return c
}
