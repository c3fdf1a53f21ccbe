package overlay_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/foldfs"
	"github.com/nixnfsd/nixnfsd/internal/sysfault"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

func foldingLayerings() []layering {
	like := func(o foldfs.Options) func(t *testing.T) string {
		return func(t *testing.T) string { return foldfs.Mount(t, o) }
	}
	return []layering{
		{name: "folding", volume: like(foldfs.Options{})},
		{name: "folding-like-hfsplus", volume: like(foldfs.Options{HFSPlus: true})},
	}
}

// TestPlainLowerThatFolds: of a lower that was never ours, and that finds names by other
// spellings too, only the names that it lists are there.
func TestPlainLowerThatFolds(t *testing.T) {
	for _, escaped := range []bool{false, true} {
		tr := newTree(t, 1)
		tr.options.Lowers[0] = foldfs.Mount(t, foldfs.Options{})
		writeTree(t, tr.options.Lowers[0], "Foo=low Dir/Sub/File=low \u00e9=low")
		if escaped {
			escape(t, tr.options.Upper)
		}
		tr.open()
		for _, path := range []string{"foo", "dir", "e\u0301", "DIR"} {
			if _, err := tr.tryWalk(path); !errors.Is(err, syscall.ENOENT) {
				t.Errorf("%q is there: %v", path, err)
			}
		}
		if _, err := tr.tryWalk("Dir", "sub"); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("Dir/sub is there: %v", err)
		}
		tr.steps("write foo new", "mkdir dir", "write dir/Sub new", "mv Dir/Sub DIR", "write DIR/file new", "mv Foo FOO")
		const want = "DIR/ DIR/File=low DIR/file=new Dir/ FOO=low dir/ dir/Sub=new foo=new \u00e9=low"
		for range 2 {
			if got := tr.shows(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			tr.reopen()
		}
	}
}

func TestUpperThatFoldsIsEscapedAtFirst(t *testing.T) {
	tests := []struct {
		name, files string
		fit         bool
	}{
		{"empty", "", true},
		{"plain", "store/abc-hello-2.12/bin/hello=x", true},
		{"other", "store/abc-hello/README=x", false},
		{"like-an-escape", "%41=x", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, 0)
			tr.options.Upper = filepath.Join(foldfs.Mount(t, foldfs.Options{}), "upper")
			mustMkdir(t, tr.options.Upper)
			writeTree(t, tr.options.Upper, tt.files)
			if !tt.fit {
				_, err := overlay.Open(tr.options)
				if unfit := (*overlay.UnfitError)(nil); !errors.As(err, &unfit) || unfit.Mend == "" {
					t.Errorf("got %v", err)
				}
				return
			}
			before := tr.open().shows()
			tr.create(tr.Root(), "Foo", "x")
			tr.create(tr.Root(), "foo", "y")
			tr.reopen()
			if got := tr.list(tr.Root()); !slices.Contains(got, "Foo") || !slices.Contains(got, "foo") {
				t.Errorf("got %q", got)
			}
			tr.remove(tr.Root(), "Foo")
			tr.remove(tr.Root(), "foo")
			if got := tr.shows(); got != before {
				t.Errorf("got %s, want %s", got, before)
			}
		})
	}
}

// TestWholeSeconds: every change of a directory's names shows in its mtime and ctime.
func TestWholeSeconds(t *testing.T) {
	tr := newTree(t, 0)
	tr.options.Upper = filepath.Join(foldfs.Mount(t, foldfs.Options{HFSPlus: true}), "upper")
	mustMkdir(t, tr.options.Upper)
	tr.open()
	d := tr.mkdir(tr.Root(), "d", 0o755)
	seen := map[overlay.Time]bool{tr.walk("d").Mtime: true}
	for range 50 {
		for _, step := range []func(){func() { tr.create(d.ID, "f", "") }, func() { tr.remove(d.ID, "f") }} {
			step()
			a := tr.walk("d")
			if seen[a.Mtime] {
				t.Fatalf("the time %v comes twice", a.Mtime)
			}
			var b overlay.Attr
			if err := tr.Getattr(d.ID, &b); err != nil || b.Mtime != a.Mtime || a.Ctime.Sec == a.Mtime.Sec && a.Ctime != a.Mtime {
				t.Errorf("got %+v and %+v, error %v", a, b, err)
			}
			seen[a.Mtime] = true
		}
	}
	w := overlay.Change{}
	one := &overlay.SetAttr{SetMtime: overlay.ClientTime, Mtime: overlay.Time{Sec: 1}}
	if err := tr.Setattr(worker, d.ID, one, &w); err != nil || w.Post.Mtime != one.Mtime {
		t.Errorf("got %v, error %v", w.Post.Mtime, err)
	}
}

// TestStepwiseLayers does, where names cannot be exchanged, what exchanges whiteouts.
func TestStepwiseLayers(t *testing.T) {
	tr := newTree(t, 1)
	dir := foldfs.Mount(t, foldfs.Options{HFSPlus: true})
	tr.options.Upper = filepath.Join(dir, "upper")
	mustMkdir(t, tr.options.Upper)
	writeTree(t, tr.options.Lowers[0], "f=1 g=2 d/x=3 e/y=4 h=5")
	tr.open()
	tr.steps("rm f", "mkdir f", "write f/in new") // a directory over a whiteout
	tr.steps("rm g", "write g new")               // a file over one
	tr.steps("mv d m", "mkdir d")                 // a merged directory leaves a whiteout
	tr.steps("rm e/y", "rmdir e", "write e file") // and so does one that is removed
	tr.steps("write n new", "mv h n")             // over an object, from a hidden name
	const want = "d/ e=file f/ f/in=new g=new m/ m/x=3 n=5"
	for range 2 {
		if got := tr.shows(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		tr.reopen()
	}
}

// TestStepwiseCutShort: a name that was to stay hidden while it changed is hidden at the
// next start, or by fsck, and one that was made is there.
func TestStepwiseCutShort(t *testing.T) {
	for _, repair := range []bool{false, true} {
		tr := newTree(t, 1)
		tr.options.Upper = filepath.Join(foldfs.Mount(t, foldfs.Options{HFSPlus: true}), "upper")
		mustMkdir(t, tr.options.Upper)
		writeTree(t, tr.options.Lowers[0], "d/made=low d/gone=low d/kept=low")
		tr.open().steps("rm d/gone", "write d/made new")
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		d := filepath.Join(tr.options.Upper, "d")
		if err := os.Remove(filepath.Join(d, "gone")); err != nil {
			t.Fatal(err)
		}
		mark(t, d, "user.nixnfsd.hidden", "made\x00gone\x00")
		if repair {
			if found := tr.texts(tr.fsck(true)); !slices.Equal(found, []string{"cut-exchange upper/d"}) {
				t.Errorf("fsck finds %q", found)
			}
			tr.wantSound()
		}
		tr.open()
		for range 2 {
			if got, want := tr.shows(), "d/ d/kept=low d/made=new"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if _, err := unix.Getxattr(d, "user.nixnfsd.hidden", nil); err != unix.ENODATA {
				t.Errorf("the mark is there still: %v", err)
			}
			tr.reopen()
		}
	}
}

// wantSound has nothing be wrong with the closed tree but leftovers that nobody can see,
// of the kinds that are named, and nothing at all once they are mended.
func (tr *tree) wantSound(leftovers ...string) {
	tr.t.Helper()
	for _, p := range tr.fsck(true) {
		if !slices.Contains(leftovers, p.Kind) {
			tr.t.Errorf("fsck found %s: %s: %s (%v)", p.Kind, p.Path, p.What, p.Err)
		}
	}
	for _, p := range tr.fsck(false) {
		tr.t.Errorf("after fsck --repair there is %s: %s: %s", p.Kind, p.Path, p.What)
	}
}

// A name that a dictionary cannot tell of, since the disk fails, is left out of no listing, and
// its directory is not taken for empty.
func TestDictionaryFails(t *testing.T) {
	name := strings.Repeat("X", 200)
	eachSpelling(t, func(base *tree) {
		base.create(base.mkdir(base.Root(), "d", 0o755).ID, name, "")
	}, func(tr *tree) {
		t := tr.t
		d := tr.walk("d").ID
		failing := func(f func() error) (err error) {
			rule := func(c sysfault.Call) (a sysfault.Answer) {
				if c.Name == "pread64" {
					a.Errno = syscall.EIO
				}
				return a
			}
			testenv.Require(t, sysfault.Run(rule, func() { err = f() }) == nil, "the kernel has no seccomp user notification")
			return err
		}
		listed := 0
		err := failing(func() error {
			var a overlay.Attr
			_, err := tr.Readdir(worker, d, 0, false, &a, func(*overlay.DirEntry) bool {
				listed++
				return true
			})
			return err
		})
		if err == nil && listed != 3 {
			t.Errorf("%d names are listed", listed)
		}
		var w overlay.Change
		if err := failing(func() error { return tr.Rmdir(worker, tr.Root(), []byte("d"), &w) }); err == nil {
			t.Fatal("RMDIR of a full directory went well")
		}
		if got := tr.list(d); !slices.Equal(got, []string{name}) {
			t.Errorf("after that it holds %q", got)
		}
	})
}
