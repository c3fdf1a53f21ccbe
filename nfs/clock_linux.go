package nfs

import "golang.org/x/sys/unix"

// readStampClock reads the clock of Linux's file systems, which goes by timer interrupts: it
// is behind the system's clock by as much as those are late, in a virtual machine any time.
// Since Linux 6.13 a stamp can be finer, and is never before this clock then
// (Documentation/filesystems/multigrain-ts.rst).
func readStampClock(int64) int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &ts) // every Linux has it
	return ts.Nano()
}
