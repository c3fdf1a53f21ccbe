package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/shell"
)

// OwnerOf names the user whom a path belongs to, as far as the caller may see it: the owner
// of the last directory on the way that can be looked at.
func OwnerOf(path string) string {
	for {
		info, err := os.Stat(path)
		if err == nil {
			return userName(ownerOf(info))
		}
		if filepath.Dir(path) == path {
			return "another user"
		}
		path = filepath.Dir(path)
	}
}

func ownerOf(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// userName names a user in the middle of a sentence.
func userName(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return fmt.Sprintf("uid %d", uid)
	}
	return fmt.Sprintf("%s (uid %d)", u.Username, uid)
}

// checkOwn refuses a directory of the server's own that somebody else could change: what is
// in it is believed. The rights in the upper are the user's business.
func checkOwn(dirs []dir, uid int) error {
	for _, d := range dirs {
		if !d.own {
			continue
		}
		info, err := os.Lstat(d.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("look at %s: %w", d.flag, err)
		case ownerOf(info) != uid:
			return fmt.Errorf("%s %s belongs to %s, and this is run by %s: run it as the owner, or choose a directory that is yours", d.flag, d.path, userName(ownerOf(info)), userName(uid))
		case info.IsDir() && info.Mode().Perm()&0o022 != 0:
			return fmt.Errorf("%s %s can be written to by others: run: chmod go-w %s", d.flag, d.path, shell.Quote(d.path))
		}
	}
	return nil
}
