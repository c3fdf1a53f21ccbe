package applenfs

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Clock is the time by which caches age.
type Clock interface {
	Now() time.Time
	// Sleep is how the client waits before it sends again what a server could not
	// do yet.
	Sleep(time.Duration)
}

// Options say what is mounted and how.
type Options struct {
	// Dial connects to the server, and waits as long as there is none: the kernel
	// tries every two seconds, for ever.
	Dial func(context.Context) (net.Conn, error)
	// Export is the path to mount.
	Export string
	// Settings are what follows -o of mount_nfs(8). Those that say nothing of
	// caches or sizes are passed over.
	Settings string
	// Clock is the time; nil is that of the machine.
	Clock Clock
	// Forgetful has the kernel forget every node that nobody has open before each call
	// of a program's, as one does that is short of memory.
	Forgetful bool
	// UID and GID are who uses the mount. The kernel's own calls come from uid 0.
	UID, GID uint32
}

// span is the shortest and longest time that attributes are taken for true.
type span struct{ min, max int64 } // seconds

// settings are mount options, with their defaults (nfs_vfsops.c, mountnfs).
type settings struct {
	rsize, wsize, dsize      uint32
	file, dir, root          span
	readdirplus, negatives   bool
	directoryBuffer          int // bytes (NFS_DIRBLKSIZ)
	accessTime, staleCompany int64
}

func parseSettings(text string) (settings, error) {
	s := settings{
		rsize: 32 << 10, wsize: 32 << 10, dsize: 32 << 10,
		file: span{5, 60}, dir: span{5, 60}, root: span{5, 60},
		negatives: true, directoryBuffer: 4096,
		accessTime: 60, staleCompany: 180,
	}
	for _, option := range strings.Split(text, ",") {
		if err := s.set(option); err != nil {
			return s, fmt.Errorf("mount option %s: %w", option, err)
		}
	}
	s.dsize = min(s.dsize, s.rsize)
	return s, nil
}

func (s *settings) set(option string) error {
	name, value, _ := strings.Cut(option, "=")
	switch name {
	case "rdirplus":
		s.readdirplus = true
	case "nonegnamecache":
		s.negatives = false
	}
	seconds := map[string]*int64{
		"acregmin": &s.file.min, "acregmax": &s.file.max, "acdirmin": &s.dir.min, "acdirmax": &s.dir.max,
		"acrootdirmin": &s.root.min, "acrootdirmax": &s.root.max,
	}
	sizes := map[string]*uint32{"rsize": &s.rsize, "wsize": &s.wsize, "dsize": &s.dsize}
	n, err := strconv.ParseUint(value, 10, 31)
	switch {
	case seconds[name] != nil:
		*seconds[name] = int64(n)
	case sizes[name] != nil:
		*sizes[name] = uint32(n)
	default:
		return nil
	}
	return err
}

// machineClock is the time of the machine.
type machineClock struct{}

func (machineClock) Now() time.Time        { return time.Now() }
func (machineClock) Sleep(d time.Duration) { time.Sleep(d) }
