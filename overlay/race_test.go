package overlay_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// An object that is renamed all the time is there all the time.
func TestRenameBesideCalls(t *testing.T) {
	calls := map[string]func(tr *tree, id overlay.ID) error{
		"getattr": func(tr *tree, id overlay.ID) error { var a overlay.Attr; return tr.Getattr(id, &a) },
		"setattr": func(tr *tree, id overlay.ID) error {
			var w overlay.Change
			return tr.Setattr(worker, id, &overlay.SetAttr{SetMtime: overlay.ServerTime}, &w)
		},
		"readlink": func(tr *tree, id overlay.ID) error {
			var a overlay.Attr
			_, err := tr.Readlink(id, nil, &a)
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t, 0)
			tr.options.MaxOpen = 2
			tr.open()
			dir := tr.mkdir(tr.Root(), "dir", 0o755)
			var a overlay.Attr
			var w overlay.Change
			if err := tr.Symlink(worker, tr.Root(), []byte("a"), []byte("target"), &overlay.SetAttr{}, &a, &w); err != nil {
				t.Fatal(err)
			}
			var stop atomic.Bool
			var wg sync.WaitGroup
			wg.Go(func() {
				defer stop.Store(true)
				for range 3000 {
					tr.mustRename(tr.Root(), "a", dir.ID, "b")
					tr.mustRename(dir.ID, "b", tr.Root(), "a")
				}
			})
			for !stop.Load() {
				if err := call(tr, a.ID); err != nil {
					t.Error(err)
					break
				}
			}
			wg.Wait()
		})
	}
}

// A file that only its handle may write is written wherever it is, whatever has its old name.
func TestWriteReadOnlyBesideRename(t *testing.T) {
	asUser(t)
	tr := newTree(t, 0)
	tr.options.MaxOpen = 2
	tr.open()
	var w overlay.Change
	names := []string{"a", "b", "c", "d"}
	ids := make([]overlay.ID, len(names))
	for i, name := range names {
		ids[i] = tr.create(tr.Root(), name, "").ID
		if err := tr.Setattr(worker, ids[i], &overlay.SetAttr{SetMode: true, Mode: 0o400}, &w); err != nil {
			t.Fatal(err)
		}
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop.Store(true)
		for range 2000 {
			tr.mustRename(tr.Root(), "a", tr.Root(), "aside")
			tr.mustRename(tr.Root(), "b", tr.Root(), "a")
			tr.mustRename(tr.Root(), "aside", tr.Root(), "b")
		}
	})
	for i := 0; !stop.Load(); i++ {
		if err := tr.Write(worker, ids[i%len(ids)], []byte("data"), 0, overlay.Unstable, &w); err != nil {
			t.Error(err)
			break
		}
	}
	wg.Wait()
}

// A symbolic link leads where it did, whatever changes places with it.
func TestReadlinkBesideRename(t *testing.T) {
	tr := newTree(t, 0).open()
	ids := map[string]overlay.ID{}
	for _, name := range []string{"a", "b"} {
		var a overlay.Attr
		var w overlay.Change
		if err := tr.Symlink(worker, tr.Root(), []byte(name), []byte(name), &overlay.SetAttr{}, &a, &w); err != nil {
			t.Fatal(err)
		}
		ids[name] = a.ID
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop.Store(true)
		for range 5000 {
			tr.mustRename(tr.Root(), "a", tr.Root(), "aside")
			tr.mustRename(tr.Root(), "b", tr.Root(), "a")
			tr.mustRename(tr.Root(), "aside", tr.Root(), "b")
		}
	})
	for !stop.Load() && !t.Failed() {
		for name, id := range ids {
			var a overlay.Attr
			if to, err := tr.Readlink(id, nil, &a); err != nil || string(to) != name {
				t.Errorf("the link to %s leads to %q, %v", name, to, err)
			}
		}
	}
	wg.Wait()
}

// A directory shows its own layers, whatever changes places with it.
func TestStackBesideRename(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/b/lower", "")
	tr.open()
	tr.create(tr.walk("b").ID, "b", "")
	tr.create(tr.mkdir(tr.Root(), "a", 0o755).ID, "a", "")
	want := map[string][]string{"a": {"a"}, "b": {"b", "lower"}}
	ids := map[string]overlay.ID{"a": tr.walk("a").ID, "b": tr.walk("b").ID}
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop.Store(true)
		for range 3000 {
			tr.mustRename(tr.Root(), "a", tr.Root(), "aside")
			tr.mustRename(tr.Root(), "b", tr.Root(), "a")
			tr.mustRename(tr.Root(), "aside", tr.Root(), "b")
		}
	})
	for !stop.Load() && !t.Failed() {
		tr.mustRefresh() // so that each is looked for again
		for name, id := range ids {
			if got := tr.list(id); !slices.Equal(got, want[name]) {
				t.Errorf("%s holds %q, want %q", name, got, want[name])
			}
		}
	}
	wg.Wait()
}

// A directory over lower layers is not taken for empty while one above it is moved and the
// layers are looked at anew.
func TestRmdirBesideRenameAbove(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/a/b/c/f", "lower")
	tr.open()
	b, c := tr.walk("a", "b").ID, tr.walk("a", "b", "c").ID
	tr.create(c, "new", "")
	tr.remove(c, "new")
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop.Store(true)
		for range 1000 {
			tr.mustRename(tr.Root(), "a", tr.Root(), "moved")
			tr.mustRename(tr.Root(), "moved", tr.Root(), "a")
		}
	})
	wg.Go(func() {
		for !stop.Load() {
			tr.mustRefresh()
		}
	})
	for !stop.Load() && !t.Failed() {
		var w overlay.Change
		wantErr(t, tr.Rmdir(worker, b, []byte("c"), &w), syscall.ENOTEMPTY)
		if got := tr.list(c); !slices.Equal(got, []string{"f"}) {
			t.Errorf("it holds %q", got)
		}
	}
	wg.Wait()
}

// LINK and RENAME out of a directory whose copy is removed behind the server end.
func TestMoveBesideRemovalBehind(t *testing.T) {
	calls := map[string]func(tr *tree, dir overlay.ID){
		"link": func(tr *tree, dir overlay.ID) {
			var a, d overlay.Attr
			var w overlay.Change
			if _, err := tr.Lookup(worker, dir, []byte("f"), &a, &d); err == nil {
				_, _ = tr.Link(worker, a.ID, tr.Root(), []byte("new"), &d, &w)
			}
		},
		"rename": func(tr *tree, dir overlay.ID) {
			var w, w2 overlay.Change
			_ = tr.Rename(worker, dir, []byte("f"), tr.Root(), []byte("new"), &w, &w2)
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t, 1)
			tr.spoilt = true // by what is done behind it
			mustWrite(t, tr.options.Lowers[0]+"/dir/f", "lower")
			tr.open()
			dir := tr.walk("dir").ID
			var stop atomic.Bool
			var wg sync.WaitGroup
			wg.Go(func() {
				for !stop.Load() {
					_ = os.RemoveAll(tr.options.Upper + "/dir")
					tr.mustRefresh()
				}
			})
			tr.soon(func() {
				for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
					var w overlay.Change
					call(tr, dir)
					_ = tr.Remove(worker, tr.Root(), []byte("new"), &w)
				}
			})
			stop.Store(true)
			wg.Wait()
		})
	}
}

// A copied-up file of which only lower names are left gets a name by its handle, after a
// restart too.
func TestLinkOfIndexed(t *testing.T) {
	tr := newTree(t, 1)
	lower := tr.options.Lowers[0]
	mustWrite(t, lower+"/a", "lower")
	mustLink(t, lower+"/a", lower+"/b")
	tr.open()
	f := tr.walk("a").ID
	tr.write(f, "LOWER")
	tr.walk("b")
	tr.remove(tr.Root(), "a")
	tr.reopen()
	tr.linkTo(f, tr.Root(), "c")
	if got := tr.walk("c"); got.ID != f || got.Nlink != 2 || tr.read(f) != "LOWER" {
		t.Errorf("it is %+v, %q", got, tr.read(f))
	}
}

// What is read after a copy-up's write returned is what was written, whoever
// opened the lower file meanwhile.
func TestReadBesideCopyUp(t *testing.T) {
	tr := newTree(t, 1)
	const files = 100
	for i := range files {
		mustWrite(t, fmt.Sprintf("%s/f%d", tr.options.Lowers[0], i), "old")
	}
	tr.open()
	for i := range files {
		f := tr.walk(fmt.Sprint("f", i))
		var wg sync.WaitGroup
		var stop atomic.Bool
		for range 3 {
			wg.Go(func() {
				var a overlay.Attr
				var b [8]byte
				for !stop.Load() {
					if _, _, err := tr.Read(worker, f.ID, b[:], 0, &a); err != nil {
						t.Error(err)
					}
				}
			})
		}
		runtime.Gosched()
		var w overlay.Change
		if err := tr.Setattr(worker, f.ID, &overlay.SetAttr{SetMode: true, Mode: 0o600}, &w); err != nil {
			t.Error(err)
		}
		stop.Store(true)
		wg.Wait()
		var a overlay.Attr
		if err := tr.Getattr(f.ID, &a); err != nil || a.Mode&0o777 != 0o600 {
			t.Fatalf("file %d: after chmod mode %o, %v", i, a.Mode, err)
		}
		tr.write(f.ID, "new")
		if got := tr.read(f.ID); got != "new" {
			t.Fatalf("file %d reads %q", i, got)
		}
	}
}

// A READ of a file that is cut short and grows again gives data or the end: nothing at all is
// an error to clients.
func TestReadBesideTruncation(t *testing.T) {
	tr := newTree(t, 0).open()
	f := tr.create(tr.Root(), "f", "0123456789")
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			for _, size := range []uint64{0, 10} {
				var w overlay.Change
				if err := tr.Setattr(worker, f.ID, &overlay.SetAttr{SetSize: true, Size: size}, &w); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 10000 {
		var a overlay.Attr
		var b [4]byte
		n, eof, err := tr.Read(worker, f.ID, b[:], 5, &a)
		if err != nil && err != syscall.EAGAIN || err == nil && n == 0 && !eof {
			t.Errorf("%d bytes, eof %v, %v", n, eof, err)
			break
		}
	}
	stop.Store(true)
	wg.Wait()
}

// again calls f until it does not ask to be called where it may block.
func again(r *rand.Rand, f func(c overlay.Caller) error) error {
	c := worker
	c.Apple = true // any file can get a silly name
	c.MayBlock = r.IntN(2) == 0
	err := f(c)
	if errors.Is(err, overlay.ErrWouldBlock) {
		c.MayBlock = true
		err = f(c)
	}
	return err
}

// change makes one random change, or looks at something.
func (tr *tree) change(r *rand.Rand) error {
	dir := tr.someDir(r)
	other := tr.someDir(r)
	name, toName := someName(r), someName(r)
	var a, d overlay.Attr
	var w, w2 overlay.Change
	switch r.IntN(12) {
	case 0:
		return again(r, func(c overlay.Caller) error {
			return tr.Create(c, dir, name, &overlay.CreateHow{}, &a, &w)
		})
	case 1:
		return again(r, func(c overlay.Caller) error { return tr.Mkdir(c, dir, name, &overlay.SetAttr{}, &a, &w) })
	case 2:
		return again(r, func(c overlay.Caller) error {
			return tr.Symlink(c, dir, name, []byte("to"), &overlay.SetAttr{}, &a, &w)
		})
	case 3:
		return again(r, func(c overlay.Caller) error { return tr.Remove(c, dir, name, &w) })
	case 4:
		return again(r, func(c overlay.Caller) error { return tr.Rmdir(c, dir, name, &w) })
	case 5, 6, 7:
		return again(r, func(c overlay.Caller) error { return tr.Rename(c, dir, name, other, toName, &w, &w2) })
	}
	if r.IntN(4) == 0 {
		_, err := tr.Readdir(worker, dir, 0, r.IntN(2) == 0, &a, func(*overlay.DirEntry) bool { return true })
		return err
	}
	if _, err := tr.Lookup(worker, dir, name, &a, &d); err != nil {
		return err
	}
	if r.IntN(3) == 0 {
		return again(r, func(c overlay.Caller) error {
			_, err := tr.Link(c, a.ID, other, toName, &d, &w)
			return err
		})
	}
	if r.IntN(3) == 0 && a.Mode&overlay.ModeType != overlay.ModeSymlink {
		return again(r, func(c overlay.Caller) error {
			mode := []uint32{0o755, 0o700}[r.IntN(2)]
			if !a.IsDir() {
				mode &= 0o444
			}
			return tr.Setattr(c, a.ID, &overlay.SetAttr{SetMode: true, Mode: mode}, &w)
		})
	}
	if r.IntN(2) == 0 {
		return again(r, func(c overlay.Caller) error { return tr.Write(c, a.ID, name, 0, overlay.Unstable, &w) })
	}
	return again(r, func(c overlay.Caller) error {
		_, _, err := tr.Read(c, a.ID, make([]byte, 8), 0, &d)
		return err
	})
}

// someName gives one of few names, some of which are silly.
func someName(r *rand.Rand) []byte {
	if r.IntN(6) == 0 {
		return fmt.Appendf(nil, ".nfs.%08x.%04x", r.IntN(5), 1)
	}
	return []byte{byte('a' + r.IntN(5))}
}

// someDir walks down by chance.
func (tr *tree) someDir(r *rand.Rand) overlay.ID {
	id := tr.Root()
	for range r.IntN(4) {
		var a, d overlay.Attr
		if _, err := tr.Lookup(worker, id, []byte{byte('a' + r.IntN(5))}, &a, &d); err == nil && a.IsDir() {
			id = a.ID
		}
	}
	return id
}

// may are the errors that random changes meet by right.
var may = []error{
	syscall.ENOENT, syscall.EEXIST, syscall.ENOTDIR, syscall.EISDIR, syscall.ENOTEMPTY, syscall.EINVAL,
	syscall.EPERM, syscall.ESTALE,
}

func allowedErr(err error) bool {
	for _, e := range may {
		if errors.Is(err, e) {
			return true
		}
	}
	return err == nil
}

func TestConcurrentChanges(t *testing.T) {
	for lowers := range 3 {
		t.Run(fmt.Sprint(lowers, " lowers"), func(t *testing.T) {
			tr := newTree(t, lowers)
			for i, lower := range tr.options.Lowers {
				plant(t, lower, uint64(i))
			}
			tr.options.MaxOpen = 16
			tr.options.MaxNodes = lowers * fewNodes // without lowers as many as there are
			before := sums(t, tr.options.Lowers)
			tr.open()
			tr.storm()
			for range 2 {
				tr.consistent(tr.Root(), "")
				tr.reopen()
			}
			if after := sums(t, tr.options.Lowers); after != before {
				t.Errorf("lower directories changed from\n%s\nto\n%s", before, after)
			}
			if lowers > 0 {
				tr.sameAsKernel()
			}
			left, _ := filepath.Glob(tr.options.Upper + ".work/#*")
			if len(left) > 0 {
				t.Errorf("the work directory holds %q", left)
			}
		})
	}
}

// storm makes random changes from several goroutines, in bounded time.
func (tr *tree) storm() {
	tr.t.Helper()
	tr.soon(tr.changeMuch)
}

// soon calls f, which ends unless there is a deadlock.
func (tr *tree) soon(f func()) {
	tr.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		buf := make([]byte, 1<<20)
		tr.t.Fatalf("deadlock:\n%s", buf[:runtime.Stack(buf, true)])
	}
}

func (tr *tree) changeMuch() {
	var wg sync.WaitGroup
	seed := rand.Uint64()
	tr.t.Logf("seed %d", seed)
	for i := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 600 {
				if err := tr.change(r); !allowedErr(err) {
					tr.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// plant makes a random tree of the names that change uses.
func plant(t *testing.T, dir string, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, seed))
	dirs, files := []string{dir}, []string{}
	for range 40 {
		path := filepath.Join(dirs[r.IntN(len(dirs))], string(rune('a'+r.IntN(5))))
		switch r.IntN(5) {
		case 0:
			if os.Mkdir(path, 0o755) == nil {
				dirs = append(dirs, path)
			}
		case 1:
			_ = os.Symlink("to", path)
		case 2:
			if len(files) > 0 {
				_ = os.Link(files[r.IntN(len(files))], path)
			}
		default:
			if _, err := os.Lstat(path); err != nil {
				mustWrite(t, path, path)
				files = append(files, path)
			}
		}
	}
}

// sums describes trees: names, types, modes, sizes, times, link counts and data.
func sums(t *testing.T, dirs []string) string {
	t.Helper()
	var b bytes.Buffer
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			i, err := d.Info()
			if err != nil {
				return err
			}
			st := i.Sys().(*syscall.Stat_t)
			fmt.Fprintln(&b, path, i.Mode(), i.Size(), i.ModTime().UnixNano(), st.Ino, st.Nlink)
			if i.Mode().IsRegular() {
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, "%x\n", data)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// consistent checks that listing, look-up and handles agree all over the tree.
func (tr *tree) consistent(dir overlay.ID, path string) {
	tr.t.Helper()
	plain := tr.fileids(dir)
	for _, name := range tr.list(dir) {
		var a, b, d overlay.Attr
		if _, err := tr.Lookup(worker, dir, []byte(name), &a, &d); err != nil {
			tr.t.Errorf("%s/%s is listed: %v", path, name, err)
			continue
		}
		if err := tr.Getattr(a.ID, &b); err != nil || a != b {
			tr.t.Errorf("%s/%s is %+v when looked up, %+v by its handle (%v)", path, name, a, b, err)
		}
		if plain[name] != a.ID.Fileid {
			tr.t.Errorf("%s/%s is listed as %x, looked up as %x", path, name, plain[name], a.ID.Fileid)
		}
		if a.IsDir() {
			tr.consistent(a.ID, path+"/"+name)
		}
	}
	if want := len(tr.list(dir)) + 2; len(plain) != want {
		tr.t.Errorf("%s lists %d names without attributes, %d with", path, len(plain), want)
	}
}

// A file that gets a name while it loses another goes on under its handle.
func TestLinkBesideRemoval(t *testing.T) {
	removals := map[string]func(tr *tree) error{
		"remove": func(tr *tree) error { var w overlay.Change; return tr.Remove(worker, tr.Root(), []byte("a"), &w) },
		"rename over it": func(tr *tree) error {
			var w, w2 overlay.Change
			return tr.Rename(worker, tr.Root(), []byte("c"), tr.Root(), []byte("a"), &w, &w2)
		},
	}
	for name, removal := range removals {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t, 0).open()
			dir := tr.mkdir(tr.Root(), "dir", 0o755)
			for range 2000 {
				f := tr.create(tr.Root(), "a", "")
				tr.create(tr.Root(), "c", "")
				var a overlay.Attr
				var linked error
				var wg sync.WaitGroup
				wg.Go(func() {
					var w overlay.Change
					_, linked = tr.Link(worker, f.ID, dir.ID, []byte("b"), &a, &w)
				})
				if err := removal(tr); err != nil {
					t.Fatal(err)
				}
				wg.Wait()
				err := tr.Getattr(f.ID, &a)
				if linked == nil {
					tr.remove(dir.ID, "b")
				} else {
					wantErr(t, linked, syscall.ESTALE)
				}
				if err != linked {
					t.Fatalf("LINK gave %v, GETATTR after it %v", linked, err)
				}
				for _, name := range tr.list(tr.Root()) {
					if name != "dir" {
						tr.remove(tr.Root(), name)
					}
				}
			}
		})
	}
}

// A name of a lower file that is moved stands for that file, whatever takes the name meanwhile
// that it was copied up by.
func TestRaiseBesideRename(t *testing.T) {
	tr := newTree(t, 1)
	const files = 300
	lower := tr.options.Lowers[0]
	mustMkdir(t, lower+"/e")
	for i := range files {
		mustWrite(t, fmt.Sprint(lower, "/d/a", i), "lower")
		mustLink(t, fmt.Sprint(lower, "/d/a", i), fmt.Sprint(lower, "/e/b", i))
	}
	tr.open()
	d, e := tr.walk("d").ID, tr.walk("e").ID
	for i := range files {
		a, b := fmt.Sprint("a", i), fmt.Sprint("b", i)
		f := tr.walk("d", a).ID
		tr.write(f, "LOWER")
		tr.create(tr.Root(), "other", "other")
		var wg sync.WaitGroup
		wg.Go(func() { tr.mustRename(tr.Root(), "other", d, a) })
		tr.mustRename(e, b, e, "moved")
		wg.Wait()
		if got := tr.walk("e", "moved").ID; got != f || tr.read(got) != "LOWER" {
			t.Fatalf("what was moved is %v, %q; want %v", got, tr.read(got), f)
		}
		tr.remove(e, "moved")
	}
}
