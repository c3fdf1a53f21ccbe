package overlay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// open opens an overlay with one lower directory that holds the given files.
func openOver(t *testing.T, files ...string) *FS {
	t.Helper()
	dir := t.TempDir()
	o := Options{Upper: dir + "/upper", Lowers: []string{dir + "/lower"}, State: dir + "/state"}
	for _, d := range []string{o.Upper, o.Lowers[0]} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(o.Lowers[0], f), []byte(f), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fs, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

var blocking = Caller{MayBlock: true}

// Who found a lower name before its removal, and makes it known after, does not
// bring the object back.
func TestMeetAfterRemoval(t *testing.T) {
	fs := openOver(t, "f")
	name := []byte("f")
	var early found
	if err := fs.find(fs.root, cString("f\x00"), &early); err != nil {
		t.Fatal(err)
	}
	var a Attr
	var w Change
	if _, err := fs.Lookup(blocking, fs.Root(), name, &a, &w.Post); err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove(blocking, fs.Root(), name, &w); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.meet(blocking, fs.root, name, &early, false); err != errReplaced {
		t.Errorf("error is %v, want %v", err, errReplaced)
	}
	if err := fs.Getattr(a.ID, &a); err != syscall.ESTALE {
		t.Errorf("the removed file's handle gives %v", err)
	}
}

// What a listing notes by one name while somebody meets it by another is known by both; and it
// notes nothing of what somebody has met since it was found.
func TestMeetBesideListing(t *testing.T) {
	for _, first := range []string{"listing", "look-up", "look-up, and evicted"} {
		t.Run(first, func(t *testing.T) {
			fs := openOver(t)
			fs.marked = false
			if err := os.WriteFile(fs.layers[0].path+"/a", nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(fs.layers[0].path+"/a", fs.layers[0].path+"/b"); err != nil {
				t.Fatal(err)
			}
			a, b := []byte("a"), []byte("b")
			find := func(name []byte) (f found) {
				if err := errors.Join(fs.find(fs.root, cBytes(name), &f), fs.identify(fs.root, name, &f)); err != nil {
					t.Fatal(err)
				}
				return f
			}
			listed, met := find(a), find(b)
			if first == "listing" && !fs.note(fs.root, a, &listed) {
				t.Fatal("what is not known was not noted")
			}
			n, err := fs.meetKnown(blocking, nil, fs.root, b, &met, false)
			if err != nil {
				t.Fatal(err)
			}
			if first != "listing" {
				if first != "look-up" {
					fs.nodes.remove(n)
					fs.journal.asked.Store(true)
				}
				if fs.note(fs.root, a, &listed) {
					t.Error("what is known by another name was noted")
				}
				n, err = fs.meet(blocking, fs.root, a, &listed, false)
			}
			if err != nil || n.hasPlace(fs.root, a) == nil || n.hasPlace(fs.root, b) == nil {
				t.Errorf("it is known as %+v, %v", n.places.Load(), err)
			}
		})
	}
}

// Who others wait for does not wait for a directory's lock to look up another name of a file
// that is known, which is put down under the lock.
func TestMeetAgainWaitsForNobody(t *testing.T) {
	fs := openOver(t)
	var a, dir Attr
	var w Change
	if err := fs.Create(blocking, fs.Root(), []byte("a"), &CreateHow{}, &a, &w); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(fs.layers[0].path+"/a", fs.layers[0].path+"/b"); err != nil {
		t.Fatal(err)
	}
	look := func(c Caller) error {
		_, err := fs.Lookup(c, fs.Root(), []byte("b"), &a, &dir)
		return err
	}
	fs.root.mu.Lock()
	if err := look(Caller{}); err != ErrWouldBlock {
		t.Errorf("beside a change of the directory: got %v", err)
	}
	complete := func(e *DirEntry) bool {
		if e.Attr == nil {
			t.Errorf("%s is listed without its attributes", e.Name)
		}
		return true
	}
	if _, err := fs.Readdir(Caller{}, fs.Root(), 0, true, &dir, complete); err != ErrWouldBlock {
		t.Errorf("listing beside a change of the directory: got %v", err)
	}
	waited := make(chan error)
	go func() { waited <- look(blocking) }()
	fs.root.mu.Unlock()
	if err := <-waited; err != nil {
		t.Error(err)
	}
	fs.root.mu.Lock()
	defer fs.root.mu.Unlock()
	if err := look(Caller{}); err != nil {
		t.Errorf("once it is known: got %v", err)
	}
}

// Two names that are met at once are both known: one can go.
func TestMeetLinksAtOnce(t *testing.T) {
	for range 200 {
		fs := openOver(t)
		var a Attr
		var w Change
		if err := fs.Create(blocking, fs.Root(), []byte("a"), &CreateHow{}, &a, &w); err != nil {
			t.Fatal(err)
		}
		if _, err := fs.Link(blocking, a.ID, fs.Root(), []byte("b"), &a, &w); err != nil {
			t.Fatal(err)
		}
		n, err := fs.node(a.ID)
		if err != nil {
			t.Fatal(err)
		}
		fs.nodes.remove(n) // as if the server had just been started
		n.file.drop()
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b"} {
			wg.Go(func() {
				var child, dir Attr
				if _, err := fs.Lookup(blocking, fs.Root(), []byte(name), &child, &dir); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, name := range []string{"a", "b"} {
			if n := fs.nodes.get(a.ID); n.hasPlace(fs.root, []byte(name)) == nil {
				t.Errorf("%s is not known", name)
			}
		}
	}
}

// A copy-up that fails leaves the object as it was, of a file with several names too.
func TestCopyUpFails(t *testing.T) {
	fs := openOver(t, "f")
	lower := fs.layers[1].path
	if err := os.Link(lower+"/f", lower+"/g"); err != nil {
		t.Fatal(err)
	}
	var a, b Attr
	var w Change
	if _, err := fs.Lookup(blocking, fs.Root(), []byte("f"), &a, &b); err != nil {
		t.Fatal(err)
	}
	// A directory that came behind the server's back is in the way of the copy.
	if err := os.MkdirAll(fs.layers[0].path+"/f/x", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := fs.Setattr(blocking, a.ID, &SetAttr{SetMode: true, Mode: 0o600}, &w); err == nil {
		t.Fatal("the copy took a directory's place")
	}
	if err := os.RemoveAll(fs.layers[0].path + "/f"); err != nil {
		t.Fatal(err)
	}
	if err := fs.Getattr(a.ID, &b); err != nil || b.Nlink != 2 || b.Mode != a.Mode {
		t.Errorf("after the failure %+v, %v", b, err)
	}
	left, _ := filepath.Glob(fs.layers[0].path + ".work/*/*")
	if len(left) > 0 {
		t.Errorf("the index holds %q", left)
	}
	if err := fs.Setattr(blocking, a.ID, &SetAttr{SetMode: true, Mode: 0o600}, &w); err != nil {
		t.Errorf("tried again: %v", err)
	}
	if w.Post.Nlink != 2 || w.Post.Mode&0o777 != 0o600 {
		t.Errorf("copied up: %+v", w.Post)
	}
}

// Of a copied-up file with several names, who comes by it while another meets it for the first
// time is told of all of them.
func TestMeetCopiedLinksAtOnce(t *testing.T) {
	fs := openOver(t, "a")
	lower := fs.layers[1].path
	for _, name := range []string{"/b", "/c"} {
		if err := os.Link(lower+"/a", lower+name); err != nil {
			t.Fatal(err)
		}
	}
	id := lookupRoot(t, fs, "a").ID
	var w Change
	if err := fs.Write(blocking, id, []byte("new"), 0, Unstable, &w); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		n, err := fs.node(id)
		if err != nil {
			t.Fatal(err)
		}
		fs.nodes.remove(n) // as if the server had just been started
		n.file.drop()
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			wg.Go(func() {
				var child, dir Attr
				_, err := fs.Lookup(blocking, fs.Root(), []byte(name), &child, &dir)
				if err != nil || child.ID != id || child.Nlink != 3 {
					t.Errorf("%s is %+v, %v", name, child, err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			break
		}
	}
}

// What was found by a name is not taken for what has the name by the time its marks are read.
func TestNameIsReplacedBesideLookup(t *testing.T) {
	fs := openOver(t, "copied")
	made, copied := mustMake(t, fs, "made"), lookupRoot(t, fs, "copied").ID
	var w Change
	if err := fs.Setattr(blocking, copied, &SetAttr{SetMode: true, Mode: 0o400}, &w); err != nil {
		t.Fatal(err)
	}
	fs.origins = newOriginCache() // as if the server had just been started
	var early found
	if err := fs.find(fs.root, cString("made\x00"), &early); err != nil {
		t.Fatal(err)
	}
	mustMove(t, fs, "made", "moved")
	mustMove(t, fs, "copied", "made")
	fs.origins = newOriginCache()
	if _, err := fs.meet(blocking, fs.root, []byte("made"), &early, false); err != errReplaced {
		t.Errorf("it is met with %v", err)
	}
	for name, id := range map[string]ID{"moved": made, "made": copied} {
		if got := lookupRoot(t, fs, name).ID; got != id {
			t.Errorf("%s is %v, want %v", name, got, id)
		}
	}
}

func mustMake(t *testing.T, fs *FS, name string) ID {
	t.Helper()
	var a Attr
	var w Change
	if err := fs.Create(blocking, fs.Root(), []byte(name), &CreateHow{}, &a, &w); err != nil {
		t.Fatal(err)
	}
	return a.ID
}

func mustMove(t *testing.T, fs *FS, from, to string) {
	t.Helper()
	var w, w2 Change
	if err := fs.Rename(blocking, fs.Root(), []byte(from), fs.Root(), []byte(to), &w, &w2); err != nil {
		t.Fatal(err)
	}
}

func mustRemove(t *testing.T, fs *FS, name string) {
	t.Helper()
	var w Change
	if err := fs.Remove(blocking, fs.Root(), []byte(name), &w); err != nil {
		t.Fatal(err)
	}
}

// mustGreet meets a name in a lower layer as far as its node is made, but it was not looked
// yet whether the name is still there.
func mustGreet(t *testing.T, fs *FS, name string) (*node, *found) {
	t.Helper()
	var f found
	if err := errors.Join(fs.find(fs.root, cBytes([]byte(name)), &f), fs.identify(fs.root, []byte(name), &f)); err != nil {
		t.Fatal(err)
	}
	n, made := fs.nodes.intern(f.id, f.st.typ(), newPlace(fs.root, []byte(name), f.layer), true, func() bool { return true })
	if !made {
		t.Fatalf("%s is known", name)
	}
	if err := fs.introduce(n, fs.root, []byte(name), &f); err != nil {
		t.Fatal(err)
	}
	return n, &f
}

// Who met a lower file while it lost one of its names, or was copied up, does not forget the
// file.
func TestMeetTooLate(t *testing.T) {
	meanwhile := map[string]func(t *testing.T, fs *FS, n *node){
		"another name is removed": func(t *testing.T, fs *FS, n *node) {
			if got := lookupRoot(t, fs, "b").ID; got != n.id {
				t.Fatalf("b is %v, a %v", got, n.id)
			}
			if err := fs.whiteoutAt(fs.root.dir.stack.Load().parts[0].dir.p.Load().fd, cString("a\x00")); err != nil {
				t.Fatal(err)
			}
		},
		"it is renamed": func(t *testing.T, fs *FS, n *node) { mustMove(t, fs, "a", "c") },
		"it is copied up": func(t *testing.T, fs *FS, n *node) {
			var w Change
			if err := fs.Write(blocking, n.id, []byte("new"), 0, Unstable, &w); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, change := range meanwhile {
		t.Run(name, func(t *testing.T) {
			fs := openOver(t, "a")
			lower := fs.layers[1].path
			if err := os.Link(lower+"/a", lower+"/b"); err != nil {
				t.Fatal(err)
			}
			n, f := mustGreet(t, fs, "a")
			change(t, fs, n)
			fs.retract(n, fs.root, []byte("a"), f.layer) // as if metTooLate had seen half of it
			var a Attr
			if err := fs.Getattr(n.id, &a); err != nil {
				t.Error(err)
			}
		})
	}
}

// A name that lower layers have is gone when it is removed, for who looks and lists meanwhile
// too, and not a whiteout.
func TestFirstWhiteoutBesideLookup(t *testing.T) {
	fs := openOver(t)
	lower := fs.layers[1].path
	for i := range 300 {
		name := fmt.Sprint("d", i)
		if err := errors.Join(os.Mkdir(lower+"/"+name, 0o755), os.WriteFile(lower+"/"+name+"/x", nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		dir := lookupRoot(t, fs, name).ID
		var x, d Attr
		var w Change
		if err := fs.Setattr(blocking, dir, &SetAttr{SetMode: true, Mode: 0o755}, &w); err != nil {
			t.Fatal(err)
		}
		if _, err := fs.Lookup(blocking, dir, []byte("x"), &x, &d); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				var a, d Attr
				for {
					if _, err := fs.Lookup(blocking, dir, []byte("x"), &a, &d); err != nil {
						return
					}
					if a.ID != x.ID {
						t.Errorf("%s/x is %+v, was %v", name, a, x.ID)
					}
				}
			})
			wg.Go(func() {
				var d Attr
				for range 20 {
					_, err := fs.Readdir(blocking, dir, 0, false, &d, func(e *DirEntry) bool {
						if string(e.Name) == "x" && e.Fileid != x.ID.Fileid {
							t.Errorf("%s/x is listed as %x, was %v", name, e.Fileid, x.ID)
						}
						return true
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		if err := fs.Remove(blocking, dir, []byte("x"), &w); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	}
}

// A file that is there or not is made or met by CREATE.
func TestCreateBesideRemoval(t *testing.T) {
	fs := openOver(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 4000 {
				var a Attr
				var w Change
				if err := fs.Create(blocking, fs.Root(), []byte("f"), &CreateHow{Attr: SetAttr{SetSize: true}}, &a, &w); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 4000 {
			var w Change
			_ = fs.Remove(blocking, fs.Root(), []byte("f"), &w)
		}
	})
	wg.Wait()
}

// A name that goes while it is looked up is there or not, the last of a copied-up file too.
func TestLookupBesideRemovalOfLastName(t *testing.T) {
	fs := openOver(t)
	lower := fs.layers[1].path
	for i := range 1000 {
		a, b := fmt.Sprint("a", i), fmt.Sprint("b", i)
		if err := errors.Join(os.WriteFile(lower+"/"+a, nil, 0o644), os.Link(lower+"/"+a, lower+"/"+b)); err != nil {
			t.Fatal(err)
		}
		var w Change
		if err := fs.Setattr(blocking, lookupRoot(t, fs, a).ID, &SetAttr{SetMode: true, Mode: 0o600}, &w); err != nil {
			t.Fatal(err)
		}
		mustRemove(t, fs, a)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				var x, d Attr
				var err error
				for err == nil {
					_, err = fs.Lookup(blocking, fs.Root(), []byte(b), &x, &d)
				}
				if err != syscall.ENOENT {
					t.Error(err)
				}
			})
		}
		mustRemove(t, fs, b)
		wg.Wait()
	}
}

// A name below a directory that is not in the upper is none to link from: the directory is
// not copied up under the lock of the other.
func TestLinkFromLowerName(t *testing.T) {
	fs := openOver(t)
	lower := fs.layers[1].path
	if err := errors.Join(os.Mkdir(lower+"/d", 0o755), os.WriteFile(lower+"/d/f", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	dir := lookupRoot(t, fs, "d").ID
	var a, d Attr
	if _, err := fs.Lookup(blocking, dir, []byte("f"), &a, &d); err != nil {
		t.Fatal(err)
	}
	n, err := fs.node(a.ID)
	if err != nil {
		t.Fatal(err)
	}
	linked := make(chan error)
	go func() {
		var st sysStat
		var w Change
		linked <- fs.linkFrom(blocking, n, n.places.Load(), fs.Root(), []byte("new"), &st, &w)
	}()
	select {
	case err := <-linked:
		if err != syscall.ESTALE {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("deadlock")
	}
}
