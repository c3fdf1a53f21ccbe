package overlay

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
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
