package bootid

import "golang.org/x/sys/unix"

// Get names this run of the kernel. It is empty when the system does not tell.
func Get() string {
	b := make([]byte, 64)
	fd, err := unix.Open("/proc/sys/kernel/random/boot_id", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	n, _ := unix.Read(fd, b)
	return string(b[:max(n, 0)])
}
