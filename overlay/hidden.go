package overlay

import (
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// hiddenNames counts, for each lower file with several names that was not copied
// up, the names that whiteouts hide: the file's own link count does not tell. The
// counts are kept in the index, in the names of empty files: ID-COUNT. Of a file in
// the index that cannot carry markLinks, a symbolic link, that is what is counted: the
// names that lower layers still show.
type hiddenNames struct {
	mu sync.RWMutex
	m  map[ID]int32
}

func (h *hiddenNames) get(id ID) int32 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.m[id]
}

// set notes a count and gives the one before.
func (h *hiddenNames) set(id ID, n int32) (old int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old = h.m[id]
	if n == 0 {
		delete(h.m, id)
		return old
	}
	if h.m == nil {
		h.m = make(map[ID]int32)
	}
	h.m[id] = n
	return old
}

// load takes in a count from the name of an index entry. Of two for one ID, which a
// crash can leave, the larger is newer.
func (h *hiddenNames) load(name string) {
	if id, n, ok := parseHiddenName(name); ok && n > h.get(id) {
		h.set(id, n)
	}
}

func hiddenName(id ID, n int32) string {
	return indexName(id) + "-" + strconv.FormatInt(int64(n), 10) + "\x00"
}

// parseHiddenName takes the name of a count apart.
func parseHiddenName(name string) (id ID, n int32, ok bool) {
	left, right, _ := strings.Cut(name, "-")
	id, isID := parseIndexName(left)
	count, err := strconv.ParseInt(right, 10, 32)
	n = int32(count)
	return id, n, isID && err == nil && n > 0 && hiddenName(id, n) == name+"\x00"
}

// hideName counts one more hidden name of a lower file with several.
func (fs *FS) hideName(n *node) error {
	count := fs.hidden.get(n.id) + 1
	n.linkDelta.Store(-count)
	return fs.keepCount(n.id, count)
}

// keepCount notes a count for good, or at least until the process ends.
func (fs *FS) keepCount(id ID, count int32) error {
	index, err := fs.dirFD(fs.index, 0)
	if err != nil {
		return err
	}
	defer index.release()
	name, old := cString(hiddenName(id, count)), fs.hidden.get(id)
	switch {
	case old == count:
		return nil
	case count == 0:
		fs.dropHidden(id)
		return nil
	case old == 0:
		err = fs.makeEmpty(index.fd, name)
	default:
		err = sysRenameAt(index.fd, cString(hiddenName(id, old)), index.fd, name)
		if err == syscall.ENOENT { // the old count could not be kept
			err = fs.makeEmpty(index.fd, name)
		}
	}
	fs.hidden.set(id, count)
	return err
}

// dropHidden forgets a file's count: it was copied up, or its last name is gone.
func (fs *FS) dropHidden(id ID) {
	count := fs.hidden.set(id, 0)
	if count == 0 {
		return
	}
	index, err := fs.dirFD(fs.index, 0)
	if err != nil {
		return
	}
	defer index.release()
	_ = sysUnlinkAt(index.fd, cString(hiddenName(id, count)), 0) // what is left counts for no name
}
