//go:build !linux

package mount

import (
	"errors"
	"io/fs"
	"os"
)

// look may be answered from what an NFS client has cached: there is no call that asks
// for more.
func look(dir string) (isDir bool, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return false, err
	}
	return info.IsDir(), nil
}
