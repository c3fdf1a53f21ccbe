package nfs_test

import (
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

func TestSetattr(t *testing.T) {
	w := newWorld(t)
	fh := w.put(w.root, "f", "0123456789")
	at := func(sec, nsec uint32) nfsclient.SetTime {
		return nfsclient.SetTime{How: nfsclient.ClientTime, Time: nfsclient.Time{Sec: sec, Nsec: nsec}}
	}
	tt := []struct {
		name string
		set  nfsclient.SetAttr
		ok   func(a nfsclient.Attr) bool
	}{
		{"mode", mode(0o4711), func(a nfsclient.Attr) bool { return a.Mode == 0o4711 }},
		{"mode 0", mode(0), func(a nfsclient.Attr) bool { return a.Mode == 0 }},
		{"smaller", size(3), func(a nfsclient.Attr) bool { return a.Size == 3 }},
		{"larger", size(1 << 33), func(a nfsclient.Attr) bool { return a.Size == 1<<33 }},
		{"mtime", nfsclient.SetAttr{Mtime: at(1, 999999999)}, func(a nfsclient.Attr) bool { return a.Mtime == nfsclient.Time{Sec: 1, Nsec: 999999999} }},
		{"atime", nfsclient.SetAttr{Atime: at(4e9, 5)}, func(a nfsclient.Attr) bool { return a.Atime == nfsclient.Time{Sec: 4e9, Nsec: 5} }},
		{"mtime to now", nfsclient.SetAttr{Mtime: nfsclient.SetTime{How: nfsclient.ServerTime}}, func(a nfsclient.Attr) bool { return a.Mtime.Sec > 1 }},
		{"several", nfsclient.SetAttr{Mode: new(uint32(0o600)), Size: new(uint64(5)), Mtime: at(7, 8)}, func(a nfsclient.Attr) bool {
			return a.Mode == 0o600 && a.Size == 5 && a.Mtime == nfsclient.Time{Sec: 7, Nsec: 8}
		}},
		{"nothing", nfsclient.SetAttr{}, func(a nfsclient.Attr) bool { return a.Mode == 0o600 && a.Size == 5 }},
	}
	for _, tt := range tt {
		w.change(tt.name, []nfsclient.FH{fh}, func() ([]nfsclient.Wcc, error) {
			wcc, err := w.Setattr(t.Context(), fh, tt.set, nil)
			return []nfsclient.Wcc{wcc}, err
		}, nfsclient.OK)
		if a := w.attr(fh); !tt.ok(a) {
			t.Errorf("%s: got %+v", tt.name, a)
		}
	}
}

func TestSetattrGuard(t *testing.T) {
	w := newWorld(t)
	fh := w.put(w.root, "f", "content")
	old := w.attr(fh).Ctime
	guarded := func(what string, guard nfsclient.Time, m uint32, want nfsclient.Status) {
		t.Helper()
		w.change(what, []nfsclient.FH{fh}, func() ([]nfsclient.Wcc, error) {
			wcc, err := w.Setattr(t.Context(), fh, mode(m), &guard)
			return []nfsclient.Wcc{wcc}, err
		}, want)
	}
	guarded("right guard", old, 0o600, nfsclient.OK)
	// The file system's clock may be coarse: wait until it has gone on.
	for w.attr(fh).Ctime == old {
		_, err := w.Setattr(t.Context(), fh, mode(0o600), nil)
		w.must("setattr", err)
	}
	guarded("stale guard", old, 0o644, nfsclient.ErrNotSync)
	guarded("nanoseconds count", nfsclient.Time{Sec: w.attr(fh).Ctime.Sec, Nsec: w.attr(fh).Ctime.Nsec ^ 1}, 0o644, nfsclient.ErrNotSync)
	if got := w.attr(fh).Mode; got != 0o600 {
		t.Errorf("a refused call set mode %o", got)
	}
}

// TestSetattrSymlink: the link changes and never what it leads to.
func TestSetattrSymlink(t *testing.T) {
	w := newWorld(t)
	target := w.put(w.root, "target", "content")
	before := w.attr(target)
	l := w.symlink(w.root, "l", "target")
	for _, s := range []nfsclient.SetAttr{mode(0o600), size(0), {Mtime: nfsclient.SetTime{How: nfsclient.ClientTime, Time: nfsclient.Time{Sec: 5}}}} {
		w.Setattr(t.Context(), l, s, nil)
	}
	w.same("target", w.attr(target), before)
	if got := w.attr(l).Mtime; got != (nfsclient.Time{Sec: 5}) {
		t.Errorf("the link's mtime: got %v, want 5 s", got)
	}
	dangling := w.symlink(w.root, "dangling", "nowhere")
	_, err := w.Setattr(t.Context(), dangling, nfsclient.SetAttr{Mtime: nfsclient.SetTime{How: nfsclient.ServerTime}}, nil)
	w.want("times of a dangling link", err, nfsclient.OK)
}

// TestOwnersRights runs as an ordinary user: the owner reads and writes whatever
// the mode, since NFS has no open files, and ACCESS tells the truth.
func TestOwnersRights(t *testing.T) {
	if !asOrdinary(t) {
		return
	}
	w := newWorld(t)
	fh := w.put(w.root, "f", "content")
	for _, m := range []uint32{0o444, 0o400, 0o000} {
		_, err := w.Setattr(t.Context(), fh, mode(m), nil)
		w.must("setattr", err)
		_, err = w.Write(t.Context(), fh, 0, nfsclient.FileSync, []byte("CON"))
		w.want("write", err, nfsclient.OK)
		if got := w.content(fh); got != "CONtent" {
			t.Errorf("mode %o: got %q, want CONtent", m, got)
		}
		_, err = w.Setattr(t.Context(), fh, size(7), nil)
		w.want("truncate", err, nfsclient.OK)
		_, err = w.Commit(t.Context(), fh, 0, 0)
		w.want("commit", err, nfsclient.OK)
		if got := w.attr(fh).Mode; got != m {
			t.Errorf("mode became %o, want %o", got, m)
		}
		r, err := w.Access(t.Context(), fh, 0x3f)
		w.must("access", err)
		want := uint32(0)
		if m != 0 {
			want = nfsclient.AccessRead
		}
		if r.Access != want {
			t.Errorf("mode %o: ACCESS gives %#x, want %#x", m, r.Access, want)
		}
	}
	_, err := w.Mknod(t.Context(), nfsclient.MknodArgs{Dir: w.root, Name: "null", Type: nfsclient.Chr, Attr: mode(0o666), Major: 1, Minor: 3})
	w.want("a device", err, nfsclient.ErrPerm)
	_, err = w.Setattr(t.Context(), fh, nfsclient.SetAttr{UID: new(uint32(0))}, nil)
	w.want("give away", err, nfsclient.ErrPerm)
}

func TestAccess(t *testing.T) {
	if !asOrdinary(t) {
		return
	}
	w := newWorld(t)
	const r, l, m, e, d, x = nfsclient.AccessRead, nfsclient.AccessLookup, nfsclient.AccessModify, nfsclient.AccessExtend,
		nfsclient.AccessDelete, nfsclient.AccessExecute
	file, dir := w.create(w.root, "f"), w.mkdir(w.root, "d")
	tt := []struct {
		fh   nfsclient.FH
		mode uint32
		want uint32
	}{
		{file, 0o644, r | m | e},
		{file, 0o755, r | m | e | x},
		{file, 0o111, x},
		{file, 0o277, m | e},
		{file, 0o077, 0},
		{dir, 0o755, r | l | m | e | d},
		{dir, 0o555, r | l},
		{dir, 0o444, r},
		{dir, 0o111, l},
		{dir, 0o077, 0},
	}
	for _, tt := range tt {
		_, err := w.Setattr(t.Context(), tt.fh, mode(tt.mode), nil)
		w.must("setattr", err)
		for mask := range uint32(64) {
			got, err := w.Access(t.Context(), tt.fh, mask)
			w.must("access", err)
			if got.Access != mask&tt.want {
				t.Errorf("mode %o, asked %#x: got %#x, want %#x", tt.mode, mask, got.Access, mask&tt.want)
			}
		}
	}
	_, err := w.Setattr(t.Context(), dir, mode(0o755), nil) // so that it can be removed
	w.must("setattr", err)
}
