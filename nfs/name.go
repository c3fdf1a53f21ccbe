package nfs

import "bytes"

const (
	maxName = 255
	// maxTarget is PATH_MAX without its NUL; a longer link could not be followed.
	maxTarget = 4095
	// maxString bounds names and paths on the wire. It is above what is allowed,
	// so that what is too long is told as such.
	maxString = 64 << 10
)

// checkName judges a filename3 that is to be looked up (RFC 1813 §3.2).
func checkName(name []byte) error {
	switch {
	case len(name) == 0:
		return statusInval
	case len(name) > maxName:
		return statusNameTooLong
	case bytes.IndexByte(name, '/') >= 0 || bytes.IndexByte(name, 0) >= 0:
		return statusInval
	}
	return nil
}

// checkNew judges the name of an object to be made: "." and ".." exist.
func checkNew(name []byte) error {
	if isDot(name) || isDotDot(name) {
		return statusExist
	}
	return checkName(name)
}

// checkOld judges the name of an object to be removed or renamed. That "." is
// NFS3ERR_INVAL and ".." NFS3ERR_EXIST is RFC 1813 §3.3.13.
func checkOld(name []byte) error {
	if isDot(name) {
		return statusInval
	}
	if isDotDot(name) {
		return statusExist
	}
	return checkName(name)
}

// checkTarget judges a symlink's nfspath3.
func checkTarget(target []byte) error {
	switch {
	case len(target) == 0 || bytes.IndexByte(target, 0) >= 0:
		return statusInval
	case len(target) > maxTarget:
		return statusNameTooLong
	}
	return nil
}

func isDot(name []byte) bool    { return len(name) == 1 && name[0] == '.' }
func isDotDot(name []byte) bool { return len(name) == 2 && name[0] == '.' && name[1] == '.' }
