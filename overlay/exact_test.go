package overlay_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// confused are names that volumes take for one another, or refuse.
var confused = []string{
	"readme", "README", "Readme", "\u00e9", "e\u0301", "\u00c9", "E\u0301", "\u212b", "\u00c5", "A\u030a", "\ud55c", "\u1112\u1161\u11ab",
	"\u00df", "ss", "SS", "\u03c3", "\u03c2", "\u03a3", "\ufb01", "fi", "\U0001f600", "\U0001f601", "\xff", "\xfe", "\xc3", "a\u200cb", "ab",
	"%41", "%", "^a", "A:b", "\n", strings.Repeat("X", 255), strings.Repeat("x", 255), strings.Repeat("\u00e9", 127),
}

// escape marks a directory as one that holds stored names.
func escape(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Setxattr(dir, "user.nixnfsd.names", []byte("escaped"), 0); err != nil {
		t.Fatal(err)
	}
}

// layering is how upper and lower spell names, and where they are.
type layering struct {
	name         string
	upper, lower bool // to be escaped by hand
	// volume makes a directory on a file system that folds names; nil: the test's own.
	volume func(t *testing.T) string
}

func layerings() []layering {
	return append(foldingLayerings(),
		layering{name: "plain"},
		layering{name: "upper-escaped", upper: true},
		layering{name: "lower-escaped", lower: true},
		layering{name: "escaped", upper: true, lower: true})
}

// eachSpelling runs a test over a lower that it fills through an overlay of its own.
func eachSpelling(t *testing.T, fill, test func(tr *tree)) {
	t.Helper()
	for _, tt := range layerings() {
		t.Run(tt.name, func(t *testing.T) {
			tr, base := newTree(t, 1), newTree(t, 0)
			if tt.volume != nil {
				dir := tt.volume(t)
				tr.options.Upper, tr.options.Lowers[0] = filepath.Join(dir, "upper"), filepath.Join(dir, "lower")
				mustMkdir(t, tr.options.Upper)
				mustMkdir(t, tr.options.Lowers[0])
			}
			base.options.Upper = tr.options.Lowers[0]
			base.options.Work = filepath.Join(filepath.Dir(base.options.Upper), "lower.filling")
			if tt.lower {
				escape(t, base.options.Upper)
			}
			fill(base.open())
			if err := base.Close(); err != nil {
				t.Fatal(err)
			}
			if tt.upper {
				escape(t, tr.options.Upper)
			}
			test(tr.open())
			if tt.upper || tt.volume != nil {
				checkStored(t, tr.options.Upper)
			}
		})
	}
}

// checkStored checks that a directory holds nothing that a volume folds.
func checkStored(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && path != dir && strings.ContainsFunc(d.Name(), func(r rune) bool { return r < ' ' || r > '~' || unicode.IsUpper(r) }) {
			t.Errorf("%q is in the upper", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestExactNames(t *testing.T) {
	eachSpelling(t, func(base *tree) {
		for _, name := range confused {
			base.create(base.Root(), name, "low "+name)
		}
	}, func(tr *tree) {
		want := slices.Sorted(slices.Values(confused))
		for range 2 {
			if got := tr.list(tr.Root()); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			tr.reopen()
		}
		tr.keepsApart()
	})
}

// keepsApart changes the confused names one by one: what is done to one is not done
// to another.
func (tr *tree) keepsApart() {
	t := tr.t
	t.Helper()
	for i, name := range confused {
		a := tr.walk(name)
		if got := tr.read(a.ID); got != "low "+name {
			t.Errorf("%q holds %q", name, got)
		}
		tr.write(a.ID, "new "+name)
		if i%2 == 0 {
			tr.reopen() // the handle has to work
		}
		if got := tr.read(a.ID); got != "new "+name {
			t.Errorf("%q holds %q after its copy-up", name, got)
		}
	}
	for _, name := range confused {
		tr.remove(tr.Root(), name)
		if _, err := tr.tryWalk(name); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("%q is there after its removal: %v", name, err)
		}
	}
	if got := tr.list(tr.Root()); len(got) != 0 {
		t.Errorf("left are %q", got)
	}
}

// TestConfusedRenames renames confused names into one another, as files and directories,
// and links them.
func TestConfusedRenames(t *testing.T) {
	eachSpelling(t, func(base *tree) {
		for _, name := range confused {
			d := base.mkdir(base.Root(), "dir-"+name[:min(len(name), 200)], 0o755)
			base.create(d.ID, name, name)
		}
	}, func(tr *tree) {
		for i, name := range confused {
			other := confused[(i+1)%len(confused)]
			dir := "dir-" + name[:min(len(name), 200)]
			d := tr.walk(dir)
			tr.mustRename(tr.Root(), dir, tr.Root(), "D"+other[:min(len(other), 200)])
			tr.mustRename(d.ID, name, d.ID, other)
			tr.linkTo(tr.walk("D"+other[:min(len(other), 200)], other).ID, d.ID, name)
			if i%5 == 0 {
				tr.reopen()
			}
			if got, want := tr.list(d.ID), []string{name, other}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("got %q, want %q", got, want)
			}
			if got := tr.read(tr.walk("D"+other[:min(len(other), 200)], name).ID); got != name {
				t.Errorf("%q holds %q", name, got)
			}
		}
		if got := tr.list(tr.Root()); len(got) != len(confused) {
			t.Errorf("got %q", got)
		}
	})
}

// TestForeignNamesAreHidden: what another program puts into an escaped upper does not
// show, is not taken for something else, and is not lost.
func TestForeignNamesAreHidden(t *testing.T) {
	tr := newTree(t, 1)
	tr.spoilt = true
	escape(t, tr.options.Upper)
	mustWrite(t, filepath.Join(tr.options.Upper, "d", "Foreign"), "x")
	mustWrite(t, filepath.Join(tr.options.Upper, "d", "%41"), "x")
	mustWrite(t, filepath.Join(tr.options.Upper, "d", "^foo"), "Foo")
	mustWrite(t, filepath.Join(tr.options.Lowers[0], "d", "lower"), "x")
	tr.open()
	d := tr.walk("d")
	if got := tr.list(d.ID); !slices.Equal(got, []string{"Foo", "lower"}) {
		t.Errorf("got %q", got)
	}
	tr.remove(d.ID, "Foo")
	tr.remove(d.ID, "lower")
	err := tr.Rmdir(worker, tr.Root(), []byte("d"), &overlay.Change{})
	wantErr(t, err, syscall.ENOTEMPTY)
}

func TestUnknownSpelling(t *testing.T) {
	tr := newTree(t, 0)
	if err := unix.Setxattr(tr.options.Upper, "user.nixnfsd.names", []byte("later"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := overlay.Open(tr.options)
	if unfit := (*overlay.UnfitError)(nil); !errors.As(err, &unfit) {
		t.Errorf("got %v", err)
	}
}

// TestLongNamesAreKept: the dictionary tells long names without the layer or the process that
// made them.
func TestLongNamesAreKept(t *testing.T) {
	long := strings.Repeat("L", 255)
	eachSpelling(t, func(base *tree) {
		base.spoilt = true // it is removed
		d := base.mkdir(base.Root(), long, 0o755)
		base.create(d.ID, long, "x")
	}, func(tr *tree) {
		tr.write(tr.walk(long, long).ID, "y")
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(tr.options.Lowers[0]); err != nil {
			t.Fatal(err)
		}
		tr.options.Lowers = nil
		tr.open()
		if got := tr.list(tr.Root()); !slices.Equal(got, []string{long}) {
			t.Errorf("got %q", got)
		}
		if got := tr.read(tr.walk(long, long).ID); got != "y" {
			t.Errorf("got %q", got)
		}
	})
}

func (tr *tree) linkTo(id, dir overlay.ID, name string) {
	tr.t.Helper()
	var a overlay.Attr
	if _, err := tr.Link(worker, id, dir, []byte(name), &a, &overlay.Change{}); err != nil {
		tr.t.Fatalf("link %q: %v", name, err)
	}
}
