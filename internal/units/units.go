// Package units writes quantities for people.
package units

import (
	"fmt"
	"math"
	"time"
)

// Bytes writes a number of bytes, such as "1.5 MiB".
func Bytes(n uint64) string {
	const unit, letters = 1024, "KMGTPE"
	if n < unit {
		return fmt.Sprintf("%d bytes", n)
	}
	f, i := float64(n)/unit, 0
	for ; f >= unit; i++ {
		f /= unit
	}
	return fmt.Sprintf("%.1f %ciB", f, letters[i])
}

// Count writes a number in at most six columns, such as "3", "1.5", "1234" or "12.3M".
func Count(f float64) string {
	const most, letters = 99999.5, "kMGTPE"
	switch {
	case f < 9.95 && f != math.Trunc(f):
		return fmt.Sprintf("%.1f", f)
	case f < most:
		return fmt.Sprintf("%.0f", f)
	}
	i := -1
	for ; f >= 999.95; i++ {
		f /= 1000
	}
	return fmt.Sprintf("%.1f%c", f, letters[i])
}

// Things writes how many of something there are, such as "1 name" or "12 names".
func Things(n uint64, one string) string {
	if n != 1 {
		one += "s"
	}
	return fmt.Sprintf("%d %s", n, one)
}

// Duration writes a time with two digits or three, such as "4.7 µs" or "120 ms".
func Duration(d time.Duration) string {
	f, unit := float64(d.Nanoseconds())/1e3, "µs"
	for _, larger := range []string{"ms", "s"} {
		if f < 999.5 {
			break
		}
		f, unit = f/1e3, larger
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %s", f, unit)
	}
	return fmt.Sprintf("%.0f %s", f, unit)
}

// Age writes how long something has been, in its two largest units, such as "3h12m" or "12s".
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
}
