package applenfs

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// Sizes in bytes of what a buffer of a listing holds (nfsnode.h): its head, an entry but
// for name and handle, and the attributes that stand behind each other at its end.
const (
	bufferHead    = 24
	entryHead     = 25
	entryStamp    = 8
	attrsInBuffer = 216
	cookiesCached = 14 // NFSNUMCOOKIES
)

// listing is what is cached of a directory's entries. Buffers are known by the
// cookie that they begin behind.
type listing struct {
	buffers    map[uint64]*buffer
	verifier   nfsclient.Verf
	generation int    // of the names: entries of an older one are looked up again
	end        uint64 // cookie of the last entry, 0 when it is not known
	cookies    []cookieAt
	begun      int64 // when it was first read, 0 when there is none
	ended      int64
}

// cookieAt says in which buffer a listing goes on behind a cookie.
type cookieAt struct{ cookie, buffer uint64 }

// buffer is part of a listing, of 4 KiB.
type buffer struct {
	at         uint64
	generation int
	entries    []*entry
	used       int
	full, eof  bool
}

// entry is an entry of a listing, with what READDIRPLUS told of it.
type entry struct {
	Name   string
	Fileid uint64
	kind   nfsclient.Type
	cookie uint64
	fh     nfsclient.FH
	attr   *nfsclient.Attr
	xid    uint64
	stamp  int64
	valid  bool
}

func (e *entry) size(fhLen int) int {
	return (entryHead+len(e.Name)+1+fhLen+entryStamp+7)&^7 + attrsInBuffer
}

// forgetCookies forgets where listings go on (nfs_vnops.c, nfs_invaldir). The verifier stays.
func (l *listing) forgetCookies() { l.end, l.cookies = 0, nil }

func (l *listing) find(name string) *entry {
	for _, b := range l.buffers {
		for _, e := range b.entries {
			if e.Name == name && e.valid && b.generation == l.generation {
				return e
			}
		}
	}
	return nil
}

// whole says that all of the directory is in the buffers.
func (l *listing) whole() bool {
	at := uint64(0)
	for {
		b := l.buffers[at]
		switch {
		case b == nil || b.generation != l.generation || !b.full:
			return false
		case b.eof:
			return true
		case len(b.entries) == 0:
			return false
		}
		at = b.entries[len(b.entries)-1].cookie
	}
}

// findListed looks for a name among the entries in the cache (nfs_vnops.c,
// nfs_dir_buf_cache_lookup). whole says that the cache has every name.
func (m *Mount) findListed(dir *node, name string) (n *node, whole bool, err error) {
	e := dir.listing.find(name)
	if e == nil {
		return nil, dir.listing.whole(), nil
	}
	n, err = m.node(dir, name, e.fh, e.attr, e.xid)
	if err != nil {
		return nil, false, err
	}
	m.enter(dir, name, n)
	n.stamp = e.stamp
	if err := m.attrs(n, cached); err != nil {
		return nil, false, err
	}
	if n.stamp != e.stamp {
		e.attr, e.xid, e.stamp = new(n.attr), n.xid, n.stamp
	}
	return n, false, nil
}

// readdir gives entries behind a cookie, about as many as have room in that many
// bytes, and the cookie to go on behind (nfs_vnops.c, nfs_vnop_readdir).
func (m *Mount) readdir(dir *node, cookie uint64, room int) (got []*entry, next uint64, eof bool, err error) {
	if err := m.beforeReaddir(dir, cookie); err != nil {
		return nil, cookie, false, err
	}
	l := &dir.listing
	short := m.bigCookies && cookie != 0 && (cookie>>32 == 0 || cookie>>31 == 1<<33-1)
	at, short, end := l.bufferOf(cookie, short)
	if end {
		return nil, cookie, true, nil
	}
	next = cookie
	for {
		from := next
		b, err := m.fullBuffer(dir, at)
		if errors.Is(err, nfsclient.ErrBadCookie) {
			m.note("%s: a listing ends early, since cookie %x is bad", dir.name, at)
			return got, next, true, nil
		}
		if err != nil {
			return nil, cookie, false, err
		}
		i := b.after(at, next, short)
		if i > 0 {
			next = b.entries[i-1].cookie
		}
		short = false
		for ; i < len(b.entries); i++ {
			e := b.entries[i]
			if room -= (entryHead - 4 + len(e.Name) + 8) &^ 7; room < 0 {
				l.cacheCookie(next, at)
				return got, next, false, nil
			}
			got, next = append(got, e), e.cookie
		}
		at = next
		if b.eof {
			l.cacheCookie(next, at)
			return got, next, true, nil
		}
		if next == from {
			m.note("%s: cookie %x does not advance", dir.name, next)
			return nil, cookie, false, syscall.EIO
		}
	}
}

// beforeReaddir throws the listing away if it is old, or if it begins anew and the
// client has changed the directory.
func (m *Mount) beforeReaddir(dir *node, cookie uint64) error {
	l := &dir.listing
	if l.begun != 0 && l.ended != 0 && m.now()-l.begun > m.timeout(dir)-1 {
		l.begun, l.ended = 0, 0
		l.forgetCookies()
		dir.drop()
	}
	if cookie != 0 {
		return nil
	}
	if dir.modified {
		l.forgetCookies()
		dir.drop()
	}
	return m.attrs(dir, cached)
}

// same32 says that cookies agree in what fits into the offset of a 32-bit program.
func same32(a, b uint64) bool { return uint32(a) == uint32(b) }

// bufferOf finds the buffer that holds what comes behind a cookie (nfs_vnops.c,
// nfs_dir_cookie_to_lbn). A cookie that may have been cut short is compared by its
// lower half where nothing else is the same; short is then still true.
func (l *listing) bufferOf(cookie uint64, short bool) (at uint64, stillShort, end bool) {
	if cookie == 0 {
		return 0, false, false
	}
	if cookie == l.end {
		return 0, false, true
	}
	if i := slices.IndexFunc(l.cookies, func(c cookieAt) bool { return c.cookie == cookie }); i >= 0 {
		return l.cookies[i].buffer, false, false
	}
	if short {
		if same32(cookie, l.end) {
			return 0, true, true
		}
		if i := slices.IndexFunc(l.cookies, func(c cookieAt) bool { return same32(c.cookie, cookie) }); i >= 0 {
			return l.cookies[i].buffer, true, false
		}
	}
	for _, b := range l.buffers {
		i := slices.IndexFunc(b.entries, func(e *entry) bool { return e.cookie == cookie })
		switch {
		case i < 0:
		case i < len(b.entries)-1:
			return b.at, false, false
		default:
			return cookie, false, false
		}
	}
	return cookie, short, false
}

// cacheCookie remembers the buffer of a cookie, for the few that were used last.
func (l *listing) cacheCookie(cookie, at uint64) {
	if cookie == 0 || cookie == l.end {
		return
	}
	l.cookies = slices.DeleteFunc(l.cookies, func(c cookieAt) bool { return c.cookie == cookie })
	l.cookies = slices.Insert(l.cookies, 0, cookieAt{cookie, at})
	l.cookies = l.cookies[:min(len(l.cookies), cookiesCached)]
}

// after gives the index of the entry behind a cookie.
func (b *buffer) after(at, cookie uint64, short bool) int {
	if at == cookie || short && same32(at, cookie) {
		return 0
	}
	if i := slices.IndexFunc(b.entries, func(e *entry) bool { return e.cookie == cookie }); i >= 0 {
		return i + 1
	}
	if i := slices.IndexFunc(b.entries, func(e *entry) bool { return same32(e.cookie, cookie) }); short && i >= 0 {
		return i + 1
	}
	return len(b.entries)
}

// fullBuffer gives a buffer that is full or holds the end.
func (m *Mount) fullBuffer(dir *node, at uint64) (*buffer, error) {
	for {
		b := dir.listing.buffers[at]
		if b == nil {
			b = dir.listing.newBuffer(at)
		}
		if b.full {
			return b, nil
		}
		if err := m.fill(dir, b); err != nil {
			dir.listing.forgetCookies()
			dir.drop()
			return nil, err
		}
	}
}

func (l *listing) newBuffer(at uint64) *buffer {
	if l.buffers == nil {
		l.buffers = map[uint64]*buffer{}
	}
	b := &buffer{at: at, generation: l.generation, used: bufferHead}
	l.buffers[at] = b
	return b
}

// fill asks for entries until the buffer is full; what is left over of the last reply
// goes into the buffers behind (nfs_vnops.c, nfs3_readdir_rpc).
func (m *Mount) fill(dir *node, b *buffer) error {
	cookie := b.at
	if len(b.entries) > 0 {
		cookie = b.entries[len(b.entries)-1].cookie
	}
	for last := b; !last.full; {
		entries, eof, err := m.readdirCall(dir, cookie)
		if err != nil {
			return err
		}
		if stuck(entries, eof, cookie) {
			// The kernel would give EIO, or ask for ever.
			m.note("%s: a listing stays at cookie %x", dir.name, cookie)
			return syscall.EIO
		}
		if b.at == 0 && len(b.entries) == 0 {
			dir.listing.begun, dir.listing.ended = m.now(), 0
		}
		for _, e := range entries {
			last = m.pack(dir, last, e, cookie)
			cookie = e.cookie
		}
		if eof {
			last.full, last.eof = true, true
			dir.listing.end, dir.listing.ended = cookie, m.now()
		}
		if last != b {
			return nil
		}
	}
	return nil
}

// stuck says that a reply leads nowhere.
func stuck(entries []*entry, eof bool, cookie uint64) bool {
	for _, e := range entries {
		if e.cookie == cookie {
			return true
		}
		cookie = e.cookie
	}
	return len(entries) == 0 && !eof
}

// pack puts an entry into the buffer, or into another one behind it.
func (m *Mount) pack(dir *node, b *buffer, e *entry, before uint64) *buffer {
	fhLen := 1 + len(e.fh)
	if b.used+e.size(fhLen) > m.set.directoryBuffer {
		b.full = true
		b = dir.listing.newBuffer(before)
	}
	if e.cookie>>32 != 0 {
		m.bigCookies = true
	}
	if strings.Contains(e.Name, "/") {
		m.note("%s: entry with a slash: %q", dir.name, e.Name)
		return b
	}
	b.used += e.size(fhLen)
	b.entries = append(b.entries, e)
	return b
}

// readdirCall asks for entries behind a cookie, and loads the attributes of those that
// have a node.
func (m *Mount) readdirCall(dir *node, cookie uint64) ([]*entry, bool, error) {
	var verifier nfsclient.Verf
	if cookie != 0 {
		verifier = dir.listing.verifier
	}
	if !m.set.readdirplus {
		return m.plainReaddirCall(dir, cookie, verifier)
	}
	c := m.w.start(&nfsclient.ReaddirplusArgs{Dir: dir.fh, Cookie: cookie, Verf: verifier, Dircount: m.set.dsize, Maxcount: m.set.rsize})
	var res nfsclient.ReaddirplusRes
	err := m.w.finish(c, &res)
	if err := errors.Join(err, m.post(dir, res.Dir, c)); err != nil {
		return nil, false, err
	}
	dir.listing.verifier = res.Verf
	var got []*entry
	for i := range res.Entries {
		got = append(got, m.listed(dir, &res.Entries[i], c))
	}
	return got, res.EOF, nil
}

// listed is an entry of READDIRPLUS (nfs_vnops.c, nfs_rdirplus_update_node_attrs).
func (m *Mount) listed(dir *node, p *nfsclient.EntryPlus, c *call) *entry {
	e := &entry{Name: p.Name, Fileid: p.Fileid, cookie: p.Cookie, attr: p.Attr, xid: c.xid, stamp: m.now()}
	if p.Attr == nil || p.FH == nil {
		m.note("%s: entry %q has no attributes or no handle", dir.name, p.Name)
		return e
	}
	if p.Attr.Fileid != p.Fileid && p.Name != ".." {
		m.note("%s: entry %q has fileid %x, and its attributes %x", dir.name, p.Name, p.Fileid, p.Attr.Fileid)
	}
	e.kind, e.fh, e.valid = p.Attr.Type, *p.FH, true
	if p.Name == "." || p.Name == ".." {
		return e
	}
	if n := m.nodes[e.fh]; n != nil {
		if err := m.load(n, e.attr, c.xid); err == nil {
			n.parent, n.name = dir, p.Name
		}
	}
	return e
}

func (m *Mount) plainReaddirCall(dir *node, cookie uint64, verifier nfsclient.Verf) ([]*entry, bool, error) {
	c := m.w.start(&nfsclient.ReaddirArgs{Dir: dir.fh, Cookie: cookie, Verf: verifier, Count: m.set.dsize})
	var res nfsclient.ReaddirRes
	err := m.w.finish(c, &res)
	if err := errors.Join(err, m.post(dir, res.Dir, c)); err != nil {
		return nil, false, err
	}
	dir.listing.verifier = res.Verf
	var got []*entry
	for _, e := range res.Entries {
		got = append(got, &entry{Name: e.Name, Fileid: e.Fileid, cookie: e.Cookie})
	}
	return got, res.EOF, nil
}
