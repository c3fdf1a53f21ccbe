package overlay

import (
	"cmp"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// The cookies of "." and ".."; those of names come after.
const (
	cookieDot = iota + 1
	cookieDotDot
	firstCookie
)

// cookieOf is where a name stands in a listing: a hash, so that it stays where
// it is while other names come and go, over restarts too. It fits a signed
// 64-bit offset.
func cookieOf(name []byte) uint64 { return max(hashBytes(name)>>1, firstCookie) }

// listing is what a directory holds, in the order of the cookies.
type listing struct {
	entries []listEntry
	names   [][]byte // in blocks; see gather
	// version and the times tell whether it still is what the directory holds.
	version      uint64
	mtime, ctime Time
}

type listEntry struct {
	cookie uint64
	fileid uint64 // atomic; 0: the name was removed since
	at     uint32 // in names: the block, and in its nameBlockBits where it begins
	size   uint8
}

func (l *listing) name(e *listEntry) []byte {
	off := e.at % nameBlock
	return l.names[e.at>>nameBlockBits][off : off+uint32(e.size)]
}

// after gives the index of the first entry behind a cookie.
func (l *listing) after(cookie uint64) int {
	return sort.Search(len(l.entries), func(i int) bool { return l.entries[i].cookie > cookie })
}

// direntBuffer takes what one getdents gives.
type direntBuffer [64 << 10]byte

// direntBuffers lends buffers: most directories are small, and a buffer for each would be
// most of the garbage that the server makes.
type direntBuffers struct{ pool sync.Pool }

func (p *direntBuffers) get() *direntBuffer {
	if b, ok := p.pool.Get().(*direntBuffer); ok {
		return b
	}
	return new(direntBuffer)
}

// readDirents calls f for every name in a directory but "." and "..".
func (fs *FS) readDirents(fd int, f func(ino uint64, typ uint8, name []byte) error) error {
	buf := fs.dirents.get()
	defer fs.dirents.pool.Put(buf)
	return readDirents(fd, buf, f)
}

func readDirents(fd int, buf *direntBuffer, f func(ino uint64, typ uint8, name []byte) error) error {
	for {
		n, err := sysGetdents(fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		for b := buf[:n]; len(b) > 0; {
			ino, typ, name, rest := direntFields(b)
			b = rest
			if string(name) == "." || string(name) == ".." || ino == 0 {
				continue
			}
			if err := f(ino, typ, name); err != nil {
				return err
			}
		}
	}
}

// listPart reads the names of one layer's part of a directory.
func (fs *FS) listPart(d *node, part *stackPart, f func(dirfd int, ino uint64, typ uint8, name []byte) error) error {
	dir, err := fs.partDir(d, part)
	if err != nil {
		return err
	}
	defer dir.release()
	read := func() error { return fs.listDir(dir.fd, f) }
	if part.layer != 0 || fs.readOnly {
		return read()
	}
	// A client may have opened the directory before its mode was changed, and a
	// directory that nobody may read can be removed.
	return fs.ifAllowed(dir.fd, &dotName[0], 0o500, read)
}

func (fs *FS) listDir(dirfd int, f func(dirfd int, ino uint64, typ uint8, name []byte) error) error {
	fd, err := fs.openAt(dirfd, &dotName[0], openList, 0)
	if err != nil {
		return gone(err)
	}
	defer unix.Close(fd)
	return fs.readDirents(fd, func(ino uint64, typ uint8, name []byte) error { return f(dirfd, ino, typ, name) })
}

// list reads a directory's merged names, anew where it came to hold whiteouts meanwhile.
func (fs *FS) list(d *node) (*listing, error) {
	for {
		s, err := fs.stackOf(d)
		if err != nil {
			return nil, err
		}
		if l, err := fs.listFrom(d, s); d.dir.stack.Load() == s {
			return l, err
		}
	}
}

func (fs *FS) listFrom(d *node, s *stack) (*listing, error) {
	l := &listing{version: d.dir.version.Load()}
	m := merger{fs: fs, to: fs.gathers.get()}
	defer fs.gathers.put(m.to)
	for i := range s.parts {
		m.part = &s.parts[i]
		if err := fs.listPart(d, m.part, m.add); err != nil && !s.lost(i, err) {
			return nil, err
		}
	}
	m.to.fill(l)
	l.sort()
	return l, nil
}

// sort brings the entries in order. Of a name in several parts the first counts, which
// came first, and it may be one that hides the name.
func (l *listing) sort() {
	slices.SortFunc(l.entries, func(a, b listEntry) int {
		if c := cmp.Compare(a.cookie, b.cookie); c != 0 {
			return c
		}
		return cmp.Or(slices.Compare(l.name(&a), l.name(&b)), cmp.Compare(a.at, b.at))
	})
	l.entries = slices.CompactFunc(l.entries, func(a, b listEntry) bool {
		return a.cookie == b.cookie && slices.Equal(l.name(&a), l.name(&b))
	})
	l.entries = slices.DeleteFunc(l.entries, func(e listEntry) bool { return e.fileid == 0 })
	for i := 1; i < len(l.entries); i++ { // names of one hash stand in a row
		if l.entries[i].cookie <= l.entries[i-1].cookie {
			l.entries[i].cookie = l.entries[i-1].cookie + 1
		}
	}
}

// merger gathers the names of one part after another.
type merger struct {
	fs   *FS
	to   *gather
	part *stackPart
}

func (m *merger) add(dirfd int, ino uint64, typ uint8, disk []byte) error {
	name, err := m.fs.inside(m.part.layer, disk)
	if err != nil || name == nil {
		return err
	}
	id, ok, err := m.identify(dirfd, ino, typ, disk)
	if err != nil {
		return err
	}
	if !ok {
		id = 0
	}
	m.to.add(name, id)
	return nil
}

// identify gives the fileid of a name, and whether it shows at all. Only where
// the directory is marked does it have to look at more than the entry.
func (m *merger) identify(dirfd int, ino uint64, typ uint8, name []byte) (fileid uint64, show bool, err error) {
	part := m.part
	l := &m.fs.layers[part.layer]
	maybeWhiteout := part.whiteouts && typ == unix.DT_REG || m.fs.marked && (typ == unix.DT_CHR || typ == unix.DT_UNKNOWN)
	mustLook := maybeWhiteout || part.impure || l.hfsplus && typ == unix.DT_REG
	if !mustLook && l.space == 0 {
		return ino, true, nil
	}
	if !mustLook && ino>>spaceShift == 0 {
		return l.space<<spaceShift | ino, true, nil
	}
	var c cName
	cn := c.set(name)
	for range maxRetries {
		fileid, show, err = m.look(dirfd, cn)
		if err != syscall.ESTALE { // else it was replaced meanwhile
			break
		}
	}
	return fileid, show, err
}

func (m *merger) look(dirfd int, name *byte) (fileid uint64, show bool, err error) {
	var st sysStat
	if err := sysStatAt(dirfd, name, &st); err != nil {
		if err == syscall.ENOENT {
			err = nil
		}
		return 0, false, err
	}
	if hidden, err := m.fs.hides(m.part, dirfd, name, &st); hidden || err != nil {
		return 0, false, err
	}
	id, err := m.fs.trueID(m.part.layer, dirfd, name, m.fs.identity(m.part.layer, &st))
	return id.Fileid, true, err
}

// listingOf gives a listing to page through. At the start of a directory it has
// to be what the directory holds now; further on the one that was begun serves,
// less what was removed since.
func (fs *FS) listingOf(c Caller, d *node, st *sysStat, cookie uint64) (*listing, error) {
	l := d.dir.listed(st, cookie)
	if !c.MayBlock && (l == nil || !l.short(cookie)) {
		return nil, ErrWouldBlock
	}
	if l != nil {
		fs.tallies.listingHits.Add(1)
		fs.lists.touch(d, l)
		return l, nil
	}
	d.dir.listing.Lock()
	defer d.dir.listing.Unlock()
	l = d.dir.listed(st, cookie)
	if l == nil {
		var err error
		if l, err = fs.list(d); err != nil {
			return nil, err
		}
		fs.tallies.listings.Add(1)
		l.mtime, l.ctime = st.mtime, st.ctime // from before
		d.dir.list.Store(l)
	}
	fs.lists.touch(d, l)
	return l, nil
}

// few is how many names at most a caller gets that must not wait: each is looked at, too, and of
// one that nobody looked at for long the file system may have to read.
const few = 16

// soonListed reports whether there may be a listing that has only few entries behind a cookie.
func (d *dirState) soonListed(cookie uint64) bool {
	l := d.list.Load()
	return l != nil && l.short(cookie)
}

func (l *listing) short(cookie uint64) bool { return len(l.entries)-l.after(cookie) <= few }

// listed gives the listing that there is, where it serves.
func (d *dirState) listed(st *sysStat, cookie uint64) *listing {
	l := d.list.Load()
	if l == nil || cookie >= firstCookie {
		return l
	}
	if l.version != d.version.Load() || l.mtime != st.mtime || l.ctime != st.ctime {
		return nil
	}
	return l
}

// relist notes in the listing that is being paged through that a name was removed
// (fileid 0) or stands for another object. One that replaced another was there all
// the time and has to be listed.
func (in *names) relist(name []byte, fileid uint64) {
	if l := in.node.dir.list.Load(); l != nil {
		if e := l.entry(name); e != nil {
			atomic.StoreUint64(&e.fileid, fileid)
		}
	}
}

// entry finds a name, or gives nil.
func (l *listing) entry(name []byte) *listEntry {
	cookie := cookieOf(name)
	for i := l.after(cookie - 1); i < len(l.entries); i++ {
		e := &l.entries[i]
		if string(l.name(e)) == string(name) {
			return e
		}
		if e.cookie > cookie+uint64(len(l.entries)) {
			break
		}
	}
	return nil
}

// empty reports whether a directory shows no names.
func (fs *FS) empty(n *node) (bool, error) {
	l, err := fs.list(n)
	return err == nil && len(l.entries) == 0, err
}

// children gives a directory's names.
func (fs *FS) children(n *node) ([]string, error) {
	l, err := fs.list(n)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(l.entries))
	for i := range l.entries {
		out[i] = string(l.name(&l.entries[i]))
	}
	return out, nil
}
