package bootid

import "golang.org/x/sys/unix"

// Get names this run of the kernel. It is empty when the system does not tell.
func Get() string {
	s, _ := unix.Sysctl("kern.bootsessionuuid")
	return s
}
