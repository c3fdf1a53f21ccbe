package overlay

import (
	"time"

	"golang.org/x/sys/unix"
)

// A client sees by a directory's times whether its names changed: Apple's looks at the mtime
// alone. File systems stamp by a clock that may stand still for some milliseconds, or keep
// whole seconds (HFS+): they would hide every change but the first in that time. Such
// changes are counted in memory, and show as nanoseconds of the mtime for as long as that on
// disk stands still, and of the ctime where seconds are kept. What is shown is written to the disk
// before it is forgotten; only where seconds are kept, and after a crash, it does not show any more,
// and clients look anew.

// standing is a time on disk that stood still while names changed, and what it is shown as.
type standing struct{ disk, shown Time }

// tryTimes finds out whether the upper keeps fractions of seconds.
func (fs *FS) tryTimes(t target) error {
	const fraction = 500e6
	if err := t.utimes(unix.Timespec{Sec: 1, Nsec: fraction}, unix.Timespec{Sec: 1, Nsec: fraction}); err != nil {
		return err
	}
	var st sysStat
	err := sysFstat(t.fd, &st)
	fs.coarse = st.mtime.Nsec == 0
	return err
}

// showTimes makes of a directory's times those that clients see.
func (fs *FS) showTimes(n *node, st *sysStat) {
	if last := n.dir.standing.Load(); last != nil {
		if st.mtime == last.disk {
			st.mtime = last.shown
		}
		if fs.coarse && st.ctime == last.disk {
			st.ctime = last.shown
		}
	}
	n.raise(st)
}

// advance makes a change of a directory's names show whose mtime was shown as before, and
// is now on disk.
func (fs *FS) advance(n *node, before, now Time) {
	still := clockTick
	if fs.coarse {
		still = time.Second
	}
	if !now.within(still, before) {
		return
	}
	shown := before
	if shown.Nsec++; shown.Nsec == 1e9 {
		shown = Time{Sec: shown.Sec + 1}
	}
	n.dir.standing.Store(&standing{disk: now, shown: shown})
}

// within reports whether t is u, or before it by less than d.
func (t Time) within(d time.Duration, u Time) bool {
	sec := u.Sec - t.Sec
	if sec != 0 && sec != 1 {
		return false
	}
	ahead := sec*1e9 + int64(u.Nsec) - int64(t.Nsec)
	return ahead >= 0 && ahead < int64(d)
}

// keepTimes writes what a directory's times are shown as to the disk, where that stands still.
func (fs *FS) keepTimes(n *node) {
	last := n.dir.standing.Load()
	if last == nil || fs.coarse || !n.mu.TryLock() {
		return
	}
	defer n.mu.Unlock()
	dir, err := fs.dirFD(n, 0)
	if err == nil {
		var st sysStat
		if sysFstat(dir.fd, &st) == nil && st.mtime == last.disk {
			_ = dirTarget(dir.fd).utimes(unix.Timespec{Nsec: utimeOmit}, timespec(last.shown))
		}
		dir.release()
	}
	n.dir.standing.CompareAndSwap(last, nil)
}

// keepAllTimes does so for all directories.
func (fs *FS) keepAllTimes() {
	var standing []*node
	fs.nodes.each(func(n *node) {
		if n.isDir() && n.dir.standing.Load() != nil {
			standing = append(standing, n)
		}
	})
	for _, n := range standing {
		fs.keepTimes(n)
	}
}
