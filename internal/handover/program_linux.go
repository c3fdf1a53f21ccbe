package handover

import (
	"fmt"
	"os"
)

// ownProgram opens the program of this process, whatever has become of its name since.
func ownProgram() (*os.File, error) { return os.Open("/proc/self/exe") }

// programPath names a descriptor for execve(2).
func programPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
