package keep

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/control"
)

// Dir is the directory of the socket by which a user gives the keeper of his mount orders, unless
// another was given. Only root can make it.
func Dir(goos string, owner uint32) string {
	run := "/run"
	if goos == "darwin" {
		run = "/var/run"
	}
	return filepath.Join(run, "nixnfsd-"+strconv.FormatUint(uint64(owner), 10))
}

// Listen makes the socket in dir, which is made where it is not there, for owner and root. Only
// one keeper does at a time, until close.
func Listen(dir string, owner uint32) (l net.Listener, unlock func() error, err error) {
	lock, err := claim(dir)
	if err != nil {
		return nil, nil, err
	}
	if l, err = control.Listen(dir, owner); err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return l, lock.Close, nil
}

// claim takes the lock in dir, which nobody else may put anything into.
func claim(dir string) (*os.File, error) {
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		err = os.Chmod(dir, 0o755) // whatever the umask is: the owner has to get in
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make the socket's directory: %w", err)
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("look at the socket's directory: %w", err)
	case !info.IsDir() || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("%s is not a directory that only root can write to: give another", dir)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another keeper has %s: %w", dir, err)
	}
	return lock, nil
}
