package nfs

import (
	"time"

	"golang.org/x/sys/unix"
)

// booted is when the machine was started, by a clock that nobody sets and that goes on in
// the next server.
func booted() time.Time {
	var up unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &up) // every system has it
	return time.Now().Add(-time.Duration(up.Nano()))
}

// stampAge is for how long a reading of the file systems' clock will do.
const stampAge = 10 * time.Millisecond

// stampClock tells what file systems may stamp on an object that is changed. Their clock is
// not the one that time.Now reads at no cost, so it is read seldom: from a reading that is a
// little old a change looks a little too young, but never too old.
type stampClock struct {
	read, says int64 // nanoseconds since 1970, of the system's clock and of theirs
}

// earliest is a time, in nanoseconds since 1970, that no change from now on is stamped
// before. It is at most stampAge too early. A clock that was set, even back, is read anew.
func (c *stampClock) earliest(now int64) int64 {
	if d := now - c.read; d < 0 || d > int64(stampAge) {
		c.read, c.says = now, readStampClock(now)
	}
	return c.says
}
