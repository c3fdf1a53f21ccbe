package bootid

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Get names this run of the kernel. It is empty when the system does not tell; the error says
// that it could not be asked now, and may answer another time.
func Get() (string, error) {
	s, err := unix.Sysctl("kern.bootsessionuuid")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find out which run of the kernel this is: %w", err)
	}
	return s, nil
}
