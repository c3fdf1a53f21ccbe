package overlay

import "golang.org/x/sys/unix"

// A file system that keeps whole seconds (HFS+) would hide every change of a directory's
// names from a client but the first in a second: Apple's looks at the mtime alone. The
// changes in one second are counted in memory, and the count shows as the fraction of
// mtime and ctime, for as long as the time on disk is in that second. It is gone after a
// restart, when the fraction is zero again.

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
	if fs.coarse {
		n.refine(st)
	}
	n.raise(st)
}

// refine adds the count of changes to a directory's times.
func (n *node) refine(st *sysStat) {
	last := n.dir.changed.Load()
	if last == nil {
		return
	}
	for _, t := range []*Time{&st.mtime, &st.ctime} {
		if t.Sec == last.Sec && t.Nsec == 0 {
			t.Nsec = last.Nsec
		}
	}
}

// advanced notes a change of a directory's names in the second that its mtime is in.
func (n *node) advanced(before, now Time) {
	if now.Sec == before.Sec && now.Nsec == 0 {
		n.dir.changed.Store(&Time{Sec: before.Sec, Nsec: min(before.Nsec+1, 1e9-1)})
	}
}
