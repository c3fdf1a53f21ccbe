package peeruid

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// lookup reads the table again when it grew while it was read: it was too short then.
func lookup(e ends) (uint32, error) {
	const name, tries = "net.inet.tcp.pcblist_n", 5
	table, err := unix.SysctlRaw(name)
	for range tries {
		if !errors.Is(err, unix.ENOMEM) {
			break
		}
		table, err = unix.SysctlRaw(name)
	}
	if err != nil {
		return 0, fmt.Errorf("sysctl %s: %w", name, err)
	}
	return e.owner(pcbs(table))
}
