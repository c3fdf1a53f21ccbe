package nfs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

func TestCreateExclusive(t *testing.T) {
	w, v := newWorld(t), nfsclient.Verf{1, 2, 3, 4, 5, 6, 7, 8}
	r, err := w.CreateExclusive(t.Context(), w.root, "f", v)
	fh := w.made("create", r, err)
	again := func(what string, v nfsclient.Verf, want nfsclient.Status) {
		t.Helper()
		r, err := w.CreateExclusive(t.Context(), w.root, "f", v)
		w.want(what, err, want)
		if want == nfsclient.OK && *r.FH != fh {
			t.Errorf("%s: another file", what)
		}
	}
	again("same verifier", v, nfsclient.OK)
	again("another verifier", nfsclient.Verf{1}, nfsclient.ErrExist)
	w.restart()
	again("same verifier after a restart", v, nfsclient.OK)
	again("another verifier after a restart", nfsclient.Verf{2}, nfsclient.ErrExist)

	// What the client does next gives the file its own attributes.
	_, err = w.Setattr(t.Context(), fh, nfsclient.SetAttr{
		Mode: new(uint32(0o644)), Atime: nfsclient.SetTime{How: nfsclient.ServerTime}, Mtime: nfsclient.SetTime{How: nfsclient.ServerTime},
	}, nil)
	w.must("setattr", err)
	if a := w.attr(fh); a.Mode != 0o644 || a.Size != 0 {
		t.Errorf("got mode %o, size %d, want 644 and 0", a.Mode, a.Size)
	}
	w.put(w.root, "other", "x")
	_, err = w.CreateExclusive(t.Context(), w.root, "other", v)
	w.want("exclusive over a file made otherwise", err, nfsclient.ErrExist)
}

// TestCreateExclusiveWritten: what was written to the file survives a late
// repetition of the call that made it.
func TestCreateExclusiveWritten(t *testing.T) {
	w, v := newWorld(t), nfsclient.Verf{9}
	r, err := w.CreateExclusive(t.Context(), w.root, "f", v)
	fh := w.made("create", r, err)
	w.write(fh, "written")
	_, err = w.CreateExclusive(t.Context(), w.root, "f", v)
	w.want("repeated", err, nfsclient.OK, nfsclient.ErrExist)
	if got := w.content(fh); got != "written" {
		t.Errorf("got %q, want %q", got, "written")
	}
}

func TestCreateUnchecked(t *testing.T) {
	w := newWorld(t)
	fh := w.put(w.root, "f", "content")
	create := func(name string, s nfsclient.SetAttr, want nfsclient.Status) *nfsclient.FH {
		t.Helper()
		r, err := w.Create(t.Context(), w.root, name, nfsclient.Unchecked, s)
		w.want("create "+name, err, want)
		return r.FH
	}
	if got := create("f", nfsclient.SetAttr{}, nfsclient.OK); *got != fh || w.content(fh) != "content" {
		t.Errorf("without a size: got handle %v with %q, want the same file as it was", got, w.content(fh))
	}
	if got := create("f", size(0), nfsclient.OK); *got != fh || w.attr(fh).Size != 0 {
		t.Errorf("with size 0: got handle %v of size %d, want the same file, empty", got, w.attr(fh).Size)
	}
	if got := create("new", size(7), nfsclient.OK); w.attr(*got).Size != 7 {
		t.Errorf("new with size 7: got %d", w.attr(*got).Size)
	}
	w.mkdir(w.root, "d")
	create("d", size(0), nfsclient.ErrExist)
	target := w.put(w.root, "target", "precious")
	w.symlink(w.root, "l", "target")
	create("l", size(0), nfsclient.ErrExist)
	if got := w.content(target); got != "precious" {
		t.Errorf("a create went through a symlink: %q", got)
	}
}

func TestMakeGivesWhatIsThere(t *testing.T) {
	w := newWorld(t)
	tt := []struct {
		name string
		make func(name string) (nfsclient.CreateRes, error)
		want nfsclient.Type
		mode uint32
	}{
		{"file", func(n string) (nfsclient.CreateRes, error) {
			return w.Create(t.Context(), w.root, n, nfsclient.Guarded, mode(0o4751))
		}, nfsclient.Reg, 0o4751},
		{"read-only file", func(n string) (nfsclient.CreateRes, error) {
			return w.Create(t.Context(), w.root, n, nfsclient.Guarded, mode(0))
		}, nfsclient.Reg, 0},
		{"directory", func(n string) (nfsclient.CreateRes, error) {
			return w.Mkdir(t.Context(), w.root, n, mode(0o1777))
		}, nfsclient.Dir, 0o1777},
		{"symlink", func(n string) (nfsclient.CreateRes, error) {
			return w.Symlink(t.Context(), w.root, n, "nowhere", nfsclient.SetAttr{})
		}, nfsclient.Lnk, 0o777},
		{"FIFO", func(n string) (nfsclient.CreateRes, error) {
			return w.Mknod(t.Context(), nfsclient.MknodArgs{Dir: w.root, Name: n, Type: nfsclient.FIFO, Attr: mode(0o622)})
		}, nfsclient.FIFO, 0o622},
		{"socket", func(n string) (nfsclient.CreateRes, error) {
			return w.Mknod(t.Context(), nfsclient.MknodArgs{Dir: w.root, Name: n, Type: nfsclient.Sock, Attr: mode(0o700)})
		}, nfsclient.Sock, 0o700},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			var r nfsclient.CreateRes
			w.change(tt.name, []nfsclient.FH{w.root}, func() (_ []nfsclient.Wcc, err error) {
				r, err = tt.make(tt.name)
				return []nfsclient.Wcc{r.Dir}, err
			}, nfsclient.OK)
			fh := w.lookup(w.root, tt.name)
			if r.FH == nil || *r.FH != fh {
				t.Fatalf("got handle %v, LOOKUP's is %v", r.FH, fh)
			}
			a := w.attr(fh)
			w.same("attributes", r.Attr, &a)
			if a.Type != tt.want || a.Type != nfsclient.Lnk && a.Mode != tt.mode {
				t.Errorf("got type %d, mode %o, want %d, %o", a.Type, a.Mode, tt.want, tt.mode)
			}
			w.change(tt.name+" again", []nfsclient.FH{w.root}, func() ([]nfsclient.Wcc, error) {
				r, err := tt.make(tt.name)
				return []nfsclient.Wcc{r.Dir}, err
			}, nfsclient.ErrExist)
		})
	}
}

func TestReadlink(t *testing.T) {
	w := newWorld(t)
	for i, target := range []string{"a", "/abs/olute", "../../../etc", "with blank\n", "\xff\xfe", strings.Repeat("long/", 800)} {
		fh := w.symlink(w.root, fmt.Sprint("l", i), target)
		r, err := w.Readlink(t.Context(), fh)
		w.must("readlink", err)
		if r.Target != target {
			t.Errorf("got %q, want %q", r.Target, target)
		}
		if a := w.attr(fh); a.Size != uint64(len(target)) {
			t.Errorf("got size %d, want %d", a.Size, len(target))
		}
	}
}

// TestNames: every name that POSIX allows works.
func TestNames(t *testing.T) {
	w := newWorld(t)
	names := []string{"...", " ", "a b", "\n", "\x01", "\xff", "ä", "a\xcc\x88", "A", "a", "-", `\`, "*", strings.Repeat("n", 255), ".nfs0001", ".wh.x", "#work"}
	for _, name := range names {
		w.put(w.root, name, "in "+name)
	}
	for _, name := range names {
		if got := w.content(w.lookup(w.root, name)); got != "in "+name {
			t.Errorf("%q holds %q", name, got)
		}
	}
	if got := len(w.list(w.root)); got != len(names)+2 {
		t.Errorf("got %d entries, want %d", got, len(names)+2)
	}
}
