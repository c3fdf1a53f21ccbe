package nfs_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// lister reads a directory page by page, and notes what may not happen.
type lister struct {
	w      *world
	dir    nfsclient.FH
	plus   bool
	count  uint32
	cookie uint64
	verf   nfsclient.Verf
	eof    bool
	seen   map[string]int
	ids    map[string]uint64
	used   map[uint64]bool
}

func (w *world) lister(dir nfsclient.FH, plus bool, count uint32) *lister {
	return &lister{
		w: w, dir: dir, plus: plus, count: count,
		seen: map[string]int{}, ids: map[string]uint64{}, used: map[uint64]bool{},
	}
}

// page reads one page.
func (l *lister) page() {
	l.w.t.Helper()
	entries := l.read()
	for _, e := range entries {
		l.seen[e.Name]++
		l.ids[e.Name] = e.Fileid
		if l.used[e.Cookie] || e.Cookie == 0 {
			l.w.t.Fatalf("cookie %d comes twice or is 0, with %q", e.Cookie, e.Name)
		}
		l.used[e.Cookie] = true
		l.cookie = e.Cookie
	}
	if len(entries) == 0 && !l.eof {
		l.w.t.Fatal("a page without an entry that is not the last")
	}
}

func (l *lister) read() []nfsclient.Entry {
	l.w.t.Helper()
	ctx := l.w.t.Context()
	if !l.plus {
		r, err := l.w.Readdir(ctx, l.dir, l.cookie, l.verf, l.count)
		l.w.must("readdir", err)
		l.verf, l.eof = r.Verf, r.EOF
		return r.Entries
	}
	r, err := l.w.Readdirplus(ctx, nfsclient.ReaddirplusArgs{Dir: l.dir, Cookie: l.cookie, Verf: l.verf, Dircount: l.count, Maxcount: l.count})
	l.w.must("readdirplus", err)
	l.verf, l.eof = r.Verf, r.EOF
	var entries []nfsclient.Entry
	for _, e := range r.Entries {
		if e.Attr != nil && e.Attr.Fileid != e.Fileid && e.Name != ".." {
			l.w.t.Errorf("%q: fileid %d, its attributes say %d", e.Name, e.Fileid, e.Attr.Fileid)
		}
		entries = append(entries, e.Entry)
	}
	return entries
}

// rest reads up to the end.
func (l *lister) rest() {
	l.w.t.Helper()
	for !l.eof {
		l.page()
	}
}

// once wants names to have been seen exactly once.
func (l *lister) once(names []string) {
	l.w.t.Helper()
	bad := 0
	for _, n := range names {
		if l.seen[n] != 1 {
			bad++
		}
	}
	if bad > 0 {
		l.w.t.Errorf("%d of %d entries were not seen exactly once", bad, len(names))
	}
}

// list gives all names in a directory, and their fileids.
func (w *world) list(dir nfsclient.FH) map[string]uint64 {
	w.t.Helper()
	l := w.lister(dir, false, 8192)
	l.rest()
	l.once(slices.Collect(maps.Keys(l.seen)))
	return l.ids
}

// fill makes n empty files with pipelined calls, as a client that unpacks does.
func (w *world) fill(dir nfsclient.FH, format string, n int) (names []string) {
	w.t.Helper()
	const batch = 500
	for at := 0; at < n; at += batch {
		var ps []*nfsclient.Pending
		for i := at; i < min(n, at+batch); i++ {
			name := fmt.Sprintf(format, i)
			names = append(names, name)
			ps = append(ps, w.Queue(&nfsclient.CreateArgs{Dir: dir, Name: name, Mode: nfsclient.Guarded, Attr: mode(0o644)}))
		}
		w.Flush()
		for _, p := range ps {
			w.must("create", p.Into(w.t.Context(), &nfsclient.CreateRes{}))
		}
	}
	return names
}

// remove removes names with pipelined calls.
func (w *world) remove(dir nfsclient.FH, names []string) {
	w.t.Helper()
	for batch := range slices.Chunk(names, 500) {
		var ps []*nfsclient.Pending
		for _, name := range batch {
			ps = append(ps, w.Queue(&nfsclient.NameArgs{P: nfsclient.NFSProc(nfsclient.ProcRemove), Dir: dir, Name: name}))
		}
		w.Flush()
		for _, p := range ps {
			w.must("remove", p.Into(w.t.Context(), &nfsclient.WccRes{}))
		}
	}
}

// split deals names out in turn.
func split(names []string) (even, odd []string) {
	for i, n := range names {
		if i%2 == 0 {
			even = append(even, n)
		} else {
			odd = append(odd, n)
		}
	}
	return even, odd
}

// TestListWhileChanging: in the middle of a listing half the entries go and others
// come; those that stay are seen exactly once, and no cookie is refused.
func TestListWhileChanging(t *testing.T) {
	for _, tt := range []struct {
		name    string
		plus    bool
		count   uint32
		restart bool
	}{
		{"READDIR", false, 4096, false},
		{"READDIRPLUS", true, 8192, false},
		{"READDIR over a restart", false, 8192, true},
		{"READDIRPLUS over a restart", true, 16384, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			dir := w.mkdir(w.root, "d")
			stay, go1 := split(w.fill(dir, "entry-%06d", 10000))
			l := w.lister(dir, tt.plus, tt.count)
			for len(l.seen) < 3000 {
				l.page()
			}
			go1, go2 := split(go1)
			w.remove(dir, go1)
			w.fill(dir, "late-%06d", 1000)
			if tt.restart {
				w.restart()
			}
			for len(l.seen) < 6000 {
				l.page()
			}
			w.remove(dir, go2)
			w.fill(dir, "later-%06d", 1000)
			l.rest()
			l.once(append(stay, ".", ".."))
			if twice := slices.DeleteFunc(slices.Collect(maps.Values(l.seen)), func(n int) bool { return n == 1 }); len(twice) > 0 {
				t.Errorf("%d entries were seen more than once", len(twice))
			}
			if got, want := len(w.list(dir)), len(stay)+2000+2; got != want {
				t.Errorf("afterwards: got %d entries, want %d", got, want)
			}
		})
	}
}

// TestListRemoveAll lists and removes page after page, as rm -r does.
func TestListRemoveAll(t *testing.T) {
	w := newWorld(t)
	dir := w.mkdir(w.root, "d")
	w.fill(dir, "%d", 2500)
	l := w.lister(dir, true, 8192)
	removed := map[string]bool{".": true, "..": true}
	for !l.eof {
		l.page()
		var names []string
		for name := range l.seen {
			if !removed[name] {
				names, removed[name] = append(names, name), true
			}
		}
		w.remove(dir, names)
	}
	_, err := w.Rmdir(t.Context(), w.root, "d")
	w.want("rmdir of what the listing emptied", err, nfsclient.OK)
}

// TestListRenaming: an entry whose neighbours are renamed is still seen once.
func TestListRenaming(t *testing.T) {
	w := newWorld(t)
	dir := w.mkdir(w.root, "d")
	stay, moved := split(w.fill(dir, "%d", 1000))
	l := w.lister(dir, false, 1024)
	for i, name := range moved {
		if i%10 == 0 && !l.eof {
			l.page()
		}
		_, err := w.Rename(t.Context(), dir, name, dir, name+".new")
		w.must("rename", err)
	}
	l.rest()
	l.once(stay)
}

// TestListCookies: every cookie of a listing goes on behind its entry, and goes on
// doing so after a restart.
func TestListCookies(t *testing.T) {
	w := newWorld(t)
	dir := w.mkdir(w.root, "d")
	w.fill(dir, "%d", 60)
	r, err := w.Readdir(t.Context(), dir, 0, nfsclient.Verf{}, 64<<10)
	w.must("readdir", err)
	if !r.EOF || len(r.Entries) != 62 {
		t.Fatalf("got %d entries, eof %v, want all 62", len(r.Entries), r.EOF)
	}
	for range 2 {
		for i, e := range r.Entries {
			got, err := w.Readdir(t.Context(), dir, e.Cookie, r.Verf, 64<<10)
			w.must("readdir from a cookie", err)
			if !slices.Equal(got.Entries, r.Entries[i+1:]) || !got.EOF {
				t.Fatalf("behind entry %d: got %d entries, eof %v, want %d", i, len(got.Entries), got.EOF, len(r.Entries)-i-1)
			}
		}
		w.restart()
	}
	// A cookie of an entry that is gone, and one that never was, are still places.
	w.remove(dir, []string{"7"})
	for _, cookie := range []uint64{r.Entries[9].Cookie, r.Entries[9].Cookie + 1, 1 << 62, 1<<64 - 1} {
		_, err := w.Readdir(t.Context(), dir, cookie, r.Verf, 4096)
		w.want("any cookie", err, nfsclient.OK)
	}
}

// TestListCounts: a reply is never larger than was asked, and too little room for
// one entry is TOOSMALL and no endless loop.
func TestListCounts(t *testing.T) {
	w := newWorld(t)
	dir := w.mkdir(w.root, "d")
	names := w.fill(dir, "some-longer-name-%d", 100)
	pages := 0
	for count := uint32(0); count < 1200; count += 7 {
		for _, plus := range []bool{false, true} {
			p := w.Start(readArgs(dir, plus, 0, count))
			_, b, err := p.Wait(t.Context())
			w.must("wait", err)
			if ok := b[3] == 0; ok && len(b)-4 > int(count) {
				t.Errorf("count %d, plus %v: the results have %d bytes", count, plus, len(b)-4)
			}
			if b[3] == 0 {
				pages++
			}
		}
	}
	if pages == 0 {
		t.Error("no count was large enough")
	}
	_, err := w.Readdir(t.Context(), dir, 0, nfsclient.Verf{}, 64)
	w.want("room for no entry", err, nfsclient.ErrTooSmall)
	_, err = w.Readdirplus(t.Context(), nfsclient.ReaddirplusArgs{Dir: dir, Dircount: 4096, Maxcount: 64})
	w.want("room for no entry", err, nfsclient.ErrTooSmall)
	for _, count := range []uint32{300, 512, 1 << 20, 1<<32 - 1} {
		for _, plus := range []bool{false, true} {
			l := w.lister(dir, plus, count)
			l.rest()
			l.once(append(slices.Clone(names), ".", ".."))
		}
	}
}

func readArgs(dir nfsclient.FH, plus bool, cookie uint64, count uint32) nfsclient.Args {
	if plus {
		return &nfsclient.ReaddirplusArgs{Dir: dir, Cookie: cookie, Dircount: count, Maxcount: count}
	}
	return &nfsclient.ReaddirArgs{Dir: dir, Cookie: cookie, Count: count}
}

// TestListAgreesWithGetattr: fileids, attributes and handles of a listing are
// those of LOOKUP and GETATTR.
func TestListAgreesWithGetattr(t *testing.T) {
	w := newWorld(t)
	dir := w.mkdir(w.root, "d")
	w.put(dir, "f", "content")
	w.symlink(dir, "l", "f")
	w.mkdir(dir, "sub")
	_, err := w.Mknod(t.Context(), nfsclient.MknodArgs{Dir: dir, Name: "p", Type: nfsclient.FIFO, Attr: mode(0o600)})
	w.must("mknod", err)
	for name, id := range w.list(dir) {
		if got := w.attr(w.lookup(dir, name)).Fileid; got != id {
			t.Errorf("%q: READDIR says %d, GETATTR %d", name, id, got)
		}
	}
	r, err := w.Readdirplus(t.Context(), nfsclient.ReaddirplusArgs{Dir: dir, Dircount: 4096, Maxcount: 16384})
	w.must("readdirplus", err)
	for _, e := range r.Entries {
		if e.FH == nil || e.Attr == nil {
			t.Errorf("%q: no handle or no attributes", e.Name)
			continue
		}
		if want := w.lookup(dir, e.Name); *e.FH != want {
			t.Errorf("%q: handle %v, LOOKUP's is %v", e.Name, *e.FH, want)
		}
		a := w.attr(*e.FH)
		w.same(e.Name, e.Attr, &a)
	}
	if got, want := w.attr(w.lookup(w.root, "..")).Fileid, w.attr(w.root).Fileid; got != want {
		t.Errorf("the root's parent is %d, want itself, %d", got, want)
	}
}
