package overlay_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// linuxSilly is the name that Linux's client gives to an open file that is removed.
func linuxSilly(id overlay.ID) string { return fmt.Sprintf(".nfs%016x%08x", id.Fileid, 7) }

const appleSilly = ".nfs.20051a80.1c24"

// kept gives the names of the files in the work directory that clients keep open.
func (tr *tree) kept() []string {
	tr.t.Helper()
	paths, err := filepath.Glob(tr.options.Upper + ".work/silly/*")
	if err != nil {
		tr.t.Fatal(err)
	}
	return paths
}

func (tr *tree) wantKept(n int) {
	tr.t.Helper()
	if got := tr.kept(); len(got) != n {
		tr.t.Errorf("kept in the work directory: got %q, want %d", got, n)
	}
}

// wantNames compares a directory's listing.
func (tr *tree) wantNames(dir overlay.ID, want ...string) {
	tr.t.Helper()
	if got := tr.list(dir); !slices.Equal(got, want) {
		tr.t.Errorf("listed: got %q, want %q", got, want)
	}
}

func (tr *tree) mustRmdir(dir overlay.ID, name string) {
	tr.t.Helper()
	var w overlay.Change
	if err := tr.Rmdir(worker, dir, []byte(name), &w); err != nil {
		tr.t.Fatalf("rmdir %s: %v", name, err)
	}
}

// appleRename renames as Apple's client.
func (tr *tree) appleRename(from overlay.ID, name string, to overlay.ID, toName string) error {
	var w, w2 overlay.Change
	c := worker
	c.Apple = true
	return tr.Rename(c, from, []byte(name), to, []byte(toName), &w, &w2)
}

// TestSilly: an open file that is removed stays out of sight and usable, over
// a restart and without its directory, until the client lets go of it.
func TestSilly(t *testing.T) {
	for _, lowers := range []int{0, 1} {
		t.Run(fmt.Sprint(lowers, " lowers"), func(t *testing.T) {
			tr := newTree(t, lowers).open()
			root := tr.Root()
			d := tr.mkdir(root, "d", 0o755)
			f := tr.create(d.ID, "f", "before")
			silly := linuxSilly(f.ID)
			tr.mustRename(d.ID, "f", d.ID, silly)
			tr.wantKept(1)
			tr.wantNames(d.ID)
			if got := tr.walk("d", silly); got.ID != f.ID || got.Nlink != 1 {
				t.Errorf("look-up: got %+v, want %+v", got, f)
			}
			if _, err := tr.tryWalk("d", "f"); !errors.Is(err, syscall.ENOENT) {
				t.Errorf("look-up of the removed name: %v", err)
			}
			tr.reopen()
			tr.wantNames(d.ID)
			if got := tr.walk("d", silly); got.ID != f.ID {
				t.Errorf("look-up after a restart: got %+v, want %+v", got, f)
			}
			tr.mustRmdir(root, "d")
			tr.write(f.ID, "AFTER")
			tr.reopen()
			if got := tr.read(f.ID); got != "AFTERe" {
				t.Errorf("content: %q", got)
			}
			tr.remove(d.ID, silly)
			tr.wantKept(0)
			var a overlay.Attr
			wantErr(t, tr.Getattr(f.ID, &a), syscall.ESTALE)
			var w overlay.Change
			wantErr(t, tr.Remove(worker, d.ID, []byte(silly), &w), syscall.ESTALE)
		})
	}
}

// TestSillyTaken: somebody removes an open file from the work directory; its name stands
// for nothing then, and another file can have it.
func TestSillyTaken(t *testing.T) {
	tr := newTree(t, 0).open()
	root := tr.Root()
	f := tr.create(root, "f", "open")
	tr.create(root, "other", "other")
	silly := linuxSilly(f.ID)
	tr.mustRename(root, "f", root, silly)
	for _, path := range tr.kept() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tr.tryWalk(silly); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("look-up of what was taken: %v", err)
	}
	tr.mustRename(root, "other", root, silly)
	if got := tr.read(tr.walk(silly).ID); got != "other" {
		t.Errorf("content: %q", got)
	}
	tr.remove(root, silly)
	tr.wantNames(root)
}

// TestSillyInPlace is the usual life: the directory stays, its mtime changes with what
// is seen of it.
func TestSillyInPlace(t *testing.T) {
	for _, name := range []string{"", appleSilly} {
		tr := newTree(t, 0).open()
		d := tr.mkdir(tr.Root(), "d", 0o755)
		f := tr.create(d.ID, "f", "x")
		silly := name
		if silly == "" {
			silly = linuxSilly(f.ID)
		}
		before := tr.walk("d").Mtime
		if err := tr.appleRename(d.ID, "f", d.ID, silly); err != nil {
			t.Fatal(err)
		}
		hidden := tr.walk("d").Mtime
		if hidden == before {
			t.Errorf("%s: the directory's mtime did not change", silly)
		}
		tr.wantNames(d.ID)
		tr.remove(d.ID, silly)
		tr.wantKept(0)
		if got := tr.walk("d").Mtime; got != hidden {
			t.Errorf("%s: the directory's mtime changed when the file was closed", silly)
		}
		_, err := tr.tryWalk("d", silly)
		wantErr(t, err, syscall.ENOENT)
	}
}

// TestUsersSillyNames: whoever gives such a name otherwise sees it as any other.
func TestUsersSillyNames(t *testing.T) {
	tr := newTree(t, 0).open()
	root := tr.Root()
	d, e := tr.mkdir(root, "d", 0o755), tr.mkdir(root, "e", 0o755)
	f := tr.create(d.ID, "f", "f")
	g := tr.create(d.ID, "g", "g")
	ofOther := linuxSilly(g.ID)
	tr.mustRename(d.ID, "f", d.ID, ofOther) // another's fileid
	tr.wantNames(d.ID, ofOther, "g")
	tr.mustRename(d.ID, ofOther, d.ID, linuxSilly(f.ID)+"x")
	tr.mustRename(d.ID, linuxSilly(f.ID)+"x", d.ID, strings.ToUpper(linuxSilly(f.ID)))
	tr.mustRename(d.ID, strings.ToUpper(linuxSilly(f.ID)), d.ID, appleSilly) // a Linux client
	tr.wantNames(d.ID, appleSilly, "g")
	tr.mustRename(d.ID, appleSilly, e.ID, linuxSilly(f.ID)) // another directory
	tr.wantNames(e.ID, linuxSilly(f.ID))
	tr.create(d.ID, appleSilly, "user's")
	if err := tr.appleRename(d.ID, "g", d.ID, appleSilly); err != nil { // over a user's
		t.Fatal(err)
	}
	tr.wantNames(d.ID, appleSilly)
	sub := tr.mkdir(d.ID, "sub", 0o755)
	tr.mustRename(d.ID, "sub", d.ID, linuxSilly(sub.ID)) // a directory
	tr.wantNames(d.ID, appleSilly, linuxSilly(sub.ID))
	tr.wantKept(0)
	var w overlay.Change
	wantErr(t, tr.Rmdir(worker, root, []byte("e"), &w), syscall.ENOTEMPTY)
}

// TestSillyNameUsed: a silly name is taken, can be replaced, and given up for a real one.
func TestSillyNameUsed(t *testing.T) {
	for _, lowers := range []int{0, 1} {
		t.Run(fmt.Sprint(lowers, " lowers"), func(t *testing.T) {
			tr := newTree(t, lowers).open()
			root := tr.Root()
			f := tr.create(root, "f", "f")
			silly := linuxSilly(f.ID)
			tr.mustRename(root, "f", root, silly)
			var a overlay.Attr
			var w overlay.Change
			wantErr(t, tr.Mkdir(worker, root, []byte(silly), &overlay.SetAttr{}, &a, &w), syscall.EEXIST)
			wantErr(t, tr.Rmdir(worker, root, []byte(silly), &w), syscall.ENOTDIR)
			how := overlay.CreateHow{Mode: overlay.Unchecked}
			if err := tr.Create(worker, root, []byte(silly), &how, &a, &w); err != nil || a.ID != f.ID {
				t.Errorf("create: got %+v and error %v, want %v", a.ID, err, f.ID)
			}
			tr.mustRename(root, silly, root, "back")
			tr.wantNames(root, "back")
			tr.wantKept(0)

			tr.mustRename(root, "back", root, silly)
			old := tr.create(root, "old", "old")
			tr.mustRename(root, silly, root, "old") // over another
			wantErr(t, tr.Getattr(old.ID, &a), syscall.ESTALE)
			tr.wantNames(root, "old")

			tr.mustRename(root, "old", root, silly)
			tr.create(root, "new", "new")
			tr.mustRename(root, "new", root, silly) // replaced
			tr.wantNames(root, silly)
			tr.wantKept(0)
			wantErr(t, tr.Getattr(f.ID, &a), syscall.ESTALE)
		})
	}
}

// TestSillyAgain: a client whose call was answered by a server that died makes it again.
func TestSillyAgain(t *testing.T) {
	for _, lowers := range []int{0, 1} {
		tr := newTree(t, lowers).open()
		f := tr.create(tr.Root(), "f", "f")
		for range 2 {
			tr.mustRename(tr.Root(), "f", tr.Root(), linuxSilly(f.ID))
			tr.reopen()
		}
		tr.wantKept(1)
		wantErr(t, tr.rename(tr.Root(), "f", tr.Root(), "g"), syscall.ENOENT)
	}
}

// TestSillyLinks: of a file with several names one is kept for the client.
func TestSillyLinks(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, filepath.Join(tr.options.Lowers[0], "a"), "x")
	mustLink(t, filepath.Join(tr.options.Lowers[0], "a"), filepath.Join(tr.options.Lowers[0], "b"))
	tr.open()
	root := tr.Root()
	f := tr.walk("a")
	tr.mustRename(root, "a", root, linuxSilly(f.ID))
	tr.reopen()
	tr.wantNames(root, "b")
	if got := tr.walk("b"); got.ID != f.ID || got.Nlink != 2 {
		t.Errorf("the other name: got %v with %d links, want %v with 2", got.ID, got.Nlink, f.ID)
	}
	tr.remove(root, "b")
	if got := tr.read(f.ID); got != "x" {
		t.Errorf("content: %q", got)
	}
	tr.reopen()
	tr.remove(root, linuxSilly(f.ID))
	tr.wantNames(root)
	var a overlay.Attr
	wantErr(t, tr.Getattr(f.ID, &a), syscall.ESTALE)
	tr.wantKept(0)
}

// TestSillyOfLower: a lower file does not show again when its copy is out of sight.
func TestSillyOfLower(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, filepath.Join(tr.options.Lowers[0], "d/f"), "lower")
	tr.open()
	d, f := tr.walk("d"), tr.walk("d", "f")
	tr.mustRename(d.ID, "f", d.ID, linuxSilly(f.ID))
	tr.wantNames(d.ID)
	tr.sameAsKernel()
	tr.mustRmdir(tr.Root(), "d")
	tr.reopen()
	if got := tr.read(f.ID); got != "lower" {
		t.Errorf("content: %q", got)
	}
	tr.sameAsKernel()
	tr.remove(d.ID, linuxSilly(f.ID))
	tr.wantKept(0)
}

// TestSillySwept: what clients had open when the machine stopped is swept, and what was
// half done.
func TestSillySwept(t *testing.T) {
	tr := newTree(t, 1).open()
	root := tr.Root()
	f := tr.create(root, "f", "f")
	tr.mustRename(root, "f", root, linuxSilly(f.ID))
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	dir, name := filepath.Split(tr.kept()[0])
	run, rest, _ := strings.Cut(name, "-")
	half := filepath.Join(dir, run+"-"+strings.Repeat("0", 32)+"-"+strings.Repeat("0", 32)+"-x")
	mustWrite(t, half, "")
	if err := unix.Setxattr(half, "user.overlay.whiteout", []byte("y"), 0); err != nil {
		t.Fatal(err)
	}
	tr.open()
	tr.wantKept(1)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tr.kept()[0], filepath.Join(dir, "0123456789abcdef-"+rest)); err != nil {
		t.Fatal(err)
	}
	tr.open()
	tr.wantKept(0)
	var a overlay.Attr
	wantErr(t, tr.Getattr(f.ID, &a), syscall.ESTALE)
}

// TestSillyReadOnly: a read-only server gives what is kept, and removes nothing.
func TestSillyReadOnly(t *testing.T) {
	tr := newTree(t, 0).open()
	root := tr.Root()
	f := tr.create(root, "f", "f")
	tr.mustRename(root, "f", root, linuxSilly(f.ID))
	tr.options.ReadOnly = true
	tr.reopen()
	tr.wantNames(root)
	if got := tr.read(f.ID); got != "f" {
		t.Errorf("content: %q", got)
	}
	var w overlay.Change
	wantErr(t, tr.Remove(worker, root, []byte(linuxSilly(f.ID)), &w), syscall.EROFS)
	wantErr(t, tr.rename(root, linuxSilly(f.ID), root, "back"), syscall.EROFS)
	tr.wantKept(1)
}

// TestSillyElsewhere: where a file cannot move to the work directory it stays in sight.
func TestSillyElsewhere(t *testing.T) {
	tr := newTree(t, 0)
	mounted := filepath.Join(tr.options.Upper, "mounted")
	mustMkdir(t, mounted)
	testenv.Require(t, mountSmall(t, mounted, "1m"), "a small file system cannot be mounted here")
	tr.open()
	d := tr.walk("mounted")
	f := tr.create(d.ID, "f", "f")
	tr.mustRename(d.ID, "f", d.ID, linuxSilly(f.ID))
	if !slices.Contains(tr.list(d.ID), linuxSilly(f.ID)) {
		t.Errorf("listed: %q", tr.list(d.ID))
	}
	tr.remove(d.ID, linuxSilly(f.ID))
	tr.wantKept(0)
}
