package overlay_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// page lists up to max entries behind a cookie and gives the last one's cookie.
func (tr *tree) page(dir overlay.ID, cookie uint64, attrs bool, max int) (ids map[string]uint64, last uint64, eof bool) {
	tr.t.Helper()
	var a overlay.Attr
	ids, last = map[string]uint64{}, cookie
	eof, err := tr.Readdir(worker, dir, cookie, attrs, &a, func(e *overlay.DirEntry) bool {
		if len(ids) == max {
			return false
		}
		if e.Cookie <= last {
			tr.t.Errorf("cookie of %s is %d, behind %d", e.Name, e.Cookie, last)
		}
		ids[string(e.Name)], last = e.Fileid, e.Cookie
		return true
	})
	if err != nil {
		tr.t.Fatal(err)
	}
	return ids, last, eof
}

// A listing shows every name that was there all the time, and none that was gone
// when its page was asked for.
func TestListingOfChangingDirectory(t *testing.T) {
	for lowers := range 2 {
		for _, attrs := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d lowers, attributes %v", lowers, attrs), func(t *testing.T) {
				tr := newTree(t, lowers)
				for i := range 60 {
					dir := tr.options.Upper
					if lowers > 0 && i%2 == 0 {
						dir = tr.options.Lowers[0]
					}
					mustWrite(t, fmt.Sprintf("%s/d/f%d", dir, i), "x")
				}
				tr.open()
				d := tr.walk("d").ID
				all, cookie, eof := tr.page(d, 0, attrs, 10)
				for i := 0; i < 60; i++ {
					name := fmt.Sprint("f", i)
					switch i % 6 {
					case 0:
						tr.remove(d, name)
					case 1:
						tr.create(d, "new", "y")
						tr.mustRename(d, "new", d, name)
					case 2:
						tr.remove(d, name)
						tr.create(d, name, "again")
					case 3:
						tr.write(tr.walk("d", name).ID, "changed")
					case 4:
						tr.create(d, fmt.Sprint("g", i), "z")
					}
				}
				if lowers > 0 {
					tr.reopen()
				}
				seen := map[string]bool{}
				for name := range all {
					seen[name] = true
				}
				for !eof {
					var ids map[string]uint64
					ids, cookie, eof = tr.page(d, cookie, attrs, 7)
					for name, id := range ids {
						if seen[name] {
							t.Errorf("%s is listed twice", name)
						}
						seen[name] = true
						if got, err := tr.tryWalk("d", name); err != nil || got.ID.Fileid != id {
							t.Errorf("%s is listed as %x, looked up as %x (%v)", name, id, got.ID.Fileid, err)
						}
					}
				}
				for i := range 60 {
					if name := fmt.Sprint("f", i); !seen[name] && i%6 != 0 && i%6 != 2 {
						t.Errorf("%s is not listed", name)
					}
				}
			})
		}
	}
}

// Whatever changes in a directory, its time of change moves on.
func TestDirectoryTimeAdvances(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/low", "low")
	tr.open()
	d := tr.mkdir(tr.Root(), "d", 0o755)
	e := tr.mkdir(tr.Root(), "e", 0o755)
	root := tr.Root()
	var a overlay.Attr
	var w overlay.Change
	link := func() { _, _ = tr.Link(worker, tr.walk("low").ID, root, []byte("link"), &a, &w) }
	tests := []struct {
		name string
		dir  overlay.ID
		do   func()
	}{
		{"create", d.ID, func() { tr.create(d.ID, "f", "") }},
		{"mkdir", d.ID, func() { tr.mkdir(d.ID, "sub", 0o755) }},
		{"rename", d.ID, func() { tr.mustRename(d.ID, "f", d.ID, "g") }},
		{"rename out of", d.ID, func() { tr.mustRename(d.ID, "g", e.ID, "g") }},
		{"rename into", d.ID, func() { tr.mustRename(e.ID, "g", d.ID, "g") }},
		{"remove", d.ID, func() { tr.remove(d.ID, "g") }},
		{"rmdir", d.ID, func() { _ = tr.Rmdir(worker, d.ID, []byte("sub"), &w) }},
		{"link", root, link},
		{"whiteout", root, func() { tr.remove(root, "low") }},
		{"make over a whiteout", root, func() { tr.mkdir(root, "low", 0o755) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after overlay.Attr
			// As if the directory had been changed several times in this tick of a
			// coarse clock: its time is a little ahead.
			if err := tr.Setattr(worker, tt.dir, &overlay.SetAttr{SetMtime: overlay.ServerTime}, &w); err != nil {
				t.Fatal(err)
			}
			ahead := w.Post.Mtime
			if ahead.Nsec += 10e6; ahead.Nsec >= 1e9 {
				ahead.Sec, ahead.Nsec = ahead.Sec+1, ahead.Nsec-1e9
			}
			if err := tr.Setattr(worker, tt.dir, &overlay.SetAttr{SetMtime: overlay.ClientTime, Mtime: ahead}, &w); err != nil {
				t.Fatal(err)
			}
			if err := tr.Getattr(tt.dir, &before); err != nil {
				t.Fatal(err)
			}
			tt.do()
			if err := tr.Getattr(tt.dir, &after); err != nil {
				t.Fatal(err)
			}
			if b, a := before.Mtime, after.Mtime; a.Sec < b.Sec || a.Sec == b.Sec && a.Nsec <= b.Nsec {
				t.Errorf("time of change went from %+v to %+v", b, a)
			}
		})
	}
}

func TestListingSorted(t *testing.T) {
	tr := newTree(t, 0).open()
	for i := range 300 {
		tr.create(tr.Root(), fmt.Sprint(i), "")
	}
	whole, _, _ := tr.page(tr.Root(), 0, false, 1000)
	if len(whole) != 302 {
		t.Errorf("%d entries", len(whole))
	}
	var names []string
	cookie, eof := uint64(0), false
	for !eof {
		var ids map[string]uint64
		ids, cookie, eof = tr.page(tr.Root(), cookie, true, 1)
		for name := range ids {
			names = append(names, name)
		}
		if len(names) == 150 {
			tr.reopen()
		}
	}
	slices.Sort(names)
	if len(names) != 302 || len(slices.Compact(names)) != 302 {
		t.Errorf("one by one there are %d entries", len(names))
	}
	var a overlay.Attr
	_, err := tr.Readdir(worker, tr.walk("1").ID, 0, false, &a, nil)
	wantErr(t, err, syscall.ENOTDIR)
}

// What stays in a large directory is listed while other names go.
func TestListingBesideRemovals(t *testing.T) {
	const files, rounds = 1200, 3 // several buffers of the system call's
	long := strings.Repeat("n", 200)
	tr := newTree(t, 0)
	mustMkdir(t, filepath.Join(tr.options.Upper, "d"))
	tr.open()
	d := tr.walk("d").ID
	for i := range files {
		tr.create(d, fmt.Sprint("stays", i, long), "")
	}
	for range rounds {
		for i := range files {
			tr.create(d, fmt.Sprint("goes", i, long), "")
		}
		var remover sync.WaitGroup
		var over atomic.Bool
		remover.Go(func() {
			defer over.Store(true)
			for i := range files {
				tr.remove(d, fmt.Sprint("goes", i, long))
			}
		})
		for !over.Load() {
			ids, _, _ := tr.page(d, 0, false, 3*files)
			for i := range files {
				if name := fmt.Sprint("stays", i, long); ids[name] == 0 {
					t.Errorf("%.10s is not listed", name)
				}
			}
		}
		remover.Wait()
	}
}

// A large directory is listed whole, whatever the lengths of its names, and each page of it goes
// on where a name was removed.
func TestLongListing(t *testing.T) {
	const files, paged = 2500, 300
	for lowers := range 2 {
		t.Run(fmt.Sprint(lowers, " lowers"), func(t *testing.T) {
			tr := newTree(t, lowers)
			layers := append([]string{tr.options.Upper}, tr.options.Lowers...)
			want := map[string]bool{".": true, "..": true}
			for i := range files {
				name := fmt.Sprintf("%d-%s", i, strings.Repeat("n", i%250))
				want[name] = true
				mustWrite(t, filepath.Join(layers[i%len(layers)], "d", name), "")
				if i%5 == 0 { // and in all layers
					mustWrite(t, filepath.Join(layers[(i+1)%len(layers)], "d", name), "")
				}
			}
			tr.open()
			d := tr.walk("d").ID
			got := map[string]bool{}
			for cookie, eof := uint64(0), false; !eof; {
				var ids map[string]uint64
				ids, cookie, eof = tr.page(d, cookie, true, paged)
				for name := range ids {
					got[name] = true
				}
				for name := range want {
					if !got[name] {
						tr.remove(d, name)
						delete(want, name)
						break
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want -, got +:\n%.2000s", diff)
			}
		})
	}
}
