package synthetic

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// immutable says so of a file with such a flag (chflags(2)), which not even root
// may write.
func immutable(info fs.FileInfo) string {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Flags&(unix.UF_IMMUTABLE|unix.SF_IMMUTABLE) != 0 {
		return "immutable (see chflags(1))"
	}
	return ""
}
