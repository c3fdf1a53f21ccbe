package mount

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Table is the mount table. MNT_NOWAIT has the kernel answer from what it
// knows, without asking a file system: a dead mount does no harm.
func Table() ([]Entry, error) {
	n, err := unix.Getfsstat(nil, unix.MNT_NOWAIT)
	if err != nil {
		return nil, fmt.Errorf("read the mount table: getfsstat: %w", err)
	}
	buf := make([]unix.Statfs_t, n+16) // some may come in between
	if n, err = unix.Getfsstat(buf, unix.MNT_NOWAIT); err != nil {
		return nil, fmt.Errorf("read the mount table: getfsstat: %w", err)
	}
	table := make([]Entry, 0, n)
	for i := range buf[:n] {
		b := &buf[i]
		s := statfs{on: b.Mntonname[:], from: b.Mntfromname[:], typ: b.Fstypename[:], flags: b.Flags}
		table = append(table, s.entry())
	}
	return table, nil
}

// nfsOptions asks nfsstat(1) for what getfsstat does not tell: the port and the
// options of NFS.
func nfsOptions(ctx context.Context, e *Entry) ([]string, error) {
	text, err := output(ctx, "/usr/bin/nfsstat", "-m", e.Dir)
	if err != nil {
		return nil, fmt.Errorf("ask for the mount's options: %w", err)
	}
	return parseNfsstat(text), nil
}
