package nfs

// readStampClock gives the system's clock, by which macOS's file systems stamp.
func readStampClock(now int64) int64 { return now }
