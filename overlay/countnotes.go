package overlay

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// countNote says what becomes of a file's count of lower names when one of them goes
// from view, should the process end before the count is kept: it is a symbolic link in
// the work directory, made before the name goes and removed after. It leads to the name's
// path in the upper, where something is then if it went.
type countNote struct {
	id ID
	// indexed: the count is of the names that lower layers still show of a copied-up
	// file; else of those that whiteouts hide.
	indexed       bool
	before, after int32
}

const (
	countPrefix = "count-"
	countFormat = countPrefix + "%x-%x-%t-%d-%d"
)

func isCountNote(name string) bool { return strings.HasPrefix(name, countPrefix) }

func (m countNote) name() string {
	return fmt.Sprintf(countFormat, m.id.Fileid, m.id.Gen, m.indexed, m.before, m.after)
}

func parseCountNote(name string) (m countNote, ok bool) {
	_, err := fmt.Sscanf(strings.ReplaceAll(name, "-", " "), strings.ReplaceAll(countFormat, "-", " "),
		&m.id.Fileid, &m.id.Gen, &m.indexed, &m.before, &m.after)
	return m, err == nil && m.name() == name
}

// noteCount notes that a name of a file, found as f tells, is about to go from view. Until
// done is called no other name of the file goes: each changes the count that is there.
func (fs *FS) noteCount(n, d *node, name *byte, f *found) (done func()) {
	if f.layer == 0 || !fs.marked || n.isDir() || f.st.nlink < 2 && !fs.indexed.has(n.id) {
		return func() {}
	}
	unlock := fs.counts.lock(n.id.Fileid)
	remove := fs.nextCount(n).make(fs, d, name)
	return func() {
		remove()
		unlock()
	}
}

// nextCount is the note of a file that is about to lose a lower name. It is for who holds
// the file's counts.
func (fs *FS) nextCount(n *node) countNote {
	if !fs.indexed.has(n.id) {
		count := fs.hidden.get(n.id)
		return countNote{n.id, false, count, count + 1}
	}
	links := n.linkDelta.Load() + 1
	return countNote{n.id, true, links, links - 1}
}

// make makes the note. One that cannot be made is not worth an error: fsck finds a count
// that is wrong.
func (m countNote) make(fs *FS, d *node, name *byte) (remove func()) {
	path, err := fs.upperPath(d, name)
	if err != nil || len(path) >= maxTarget {
		return func() {}
	}
	work, err := fs.dirFD(fs.work, 0)
	if err != nil {
		return func() {}
	}
	note := cString(m.name() + "\x00")
	_ = sysSymlinkAt(cString(path+"\x00"), work.fd, note)
	return func() {
		_ = sysUnlinkAt(work.fd, note, 0)
		work.release()
	}
}

// finishCounts keeps the counts that the last run came not to keep.
func (fs *FS) finishCounts(work string) error {
	if fs.readOnly {
		return nil
	}
	entries, err := os.ReadDir(work)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !isCountNote(e.Name()) {
			continue
		}
		path := filepath.Join(work, e.Name())
		if err := fs.finishCount(path, e.Name()); err != nil {
			return fmt.Errorf("keep the count of links in %s: %w", path, err)
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

func (fs *FS) finishCount(path, name string) error {
	m, ok := parseCountNote(name)
	gone, err := os.Readlink(path)
	if !ok || err != nil || m.indexed != fs.indexed.has(m.id) {
		return nil // no note, or of a copy that was not made
	}
	count := m.before
	if _, err := os.Lstat(filepath.Join(fs.layers[0].path, gone)); err == nil {
		count = m.after
	}
	if !m.indexed {
		return fs.keepCount(m.id, count)
	}
	return fs.keepLinks(m.id, count)
}

// keepLinks notes for good how many names of a copied-up file lower layers still show.
func (fs *FS) keepLinks(id ID, links int32) error {
	index, err := fs.dirFD(fs.index, 0)
	if err != nil {
		return err
	}
	defer index.release()
	var c cName
	noted, err := fs.setLowerLinks(index.fd, c.set([]byte(indexName(id))), links)
	switch {
	case err != nil:
		return err
	case !noted:
		return fs.keepCount(id, links)
	}
	fs.dropHidden(id) // of before it was copied up
	return nil
}
