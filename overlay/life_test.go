package overlay_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// An ID never leads to another object, however fast inode numbers are used again, whether
// the objects are in memory or not.
func TestIDIsNotReused(t *testing.T) {
	for i, base := range []string{"", "/dev/shm", "", "/dev/shm"} {
		t.Run("in "+base, func(t *testing.T) {
			tr := newTree(t, 0)
			if i >= 2 {
				tr.options.MaxNodes = fewNodes
			}
			if base != "" {
				dir, err := os.MkdirTemp(base, "overlay")
				testenv.Require(t, err == nil, fmt.Sprint("no tmpfs: ", err))
				t.Cleanup(func() { os.RemoveAll(dir) })
				tr.options.Upper = dir + "/upper"
				mustMkdir(t, tr.options.Upper)
			}
			tr.open()
			var w overlay.Change
			known := map[overlay.ID]int{}
			for i := range 500 {
				f := tr.create(tr.Root(), "f", fmt.Sprint(i))
				d := tr.mkdir(tr.Root(), "d", 0o755)
				for _, id := range []overlay.ID{f.ID, d.ID} {
					if was, ok := known[id]; ok {
						t.Fatalf("object %d has the ID %v of object %d", i, id, was)
					}
					known[id] = i
				}
				if i%2 == 0 {
					tr.remove(tr.Root(), "f")
				} else {
					tr.create(tr.Root(), "g", "g")
					known[tr.walk("g").ID] = i
					tr.mustRename(tr.Root(), "g", tr.Root(), "f")
					tr.remove(tr.Root(), "f")
				}
				if err := tr.Rmdir(worker, tr.Root(), []byte("d"), &w); err != nil {
					t.Fatal(err)
				}
			}
			tr.create(tr.Root(), "f", "new bytes")
			for range 2 {
				for id := range known {
					var a overlay.Attr
					wantErr(t, tr.Getattr(id, &a), syscall.ESTALE)
					_, _, err := tr.Read(worker, id, make([]byte, 9), 0, &a)
					wantErr(t, err, syscall.ESTALE)
				}
				tr.reopen()
			}
		})
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	testenv.Require(t, err == nil, fmt.Sprint("cannot count descriptors: ", err))
	return len(entries)
}

// What is opened is closed, also where opening fails half-way.
func TestNothingLeaks(t *testing.T) {
	tr := newTree(t, 2)
	mustWrite(t, tr.options.Lowers[0]+"/d/f", "f")
	fds, goroutines := openDescriptors(t), runtime.NumGoroutine()
	for range 3 {
		fs, err := overlay.Open(tr.options)
		if err != nil {
			t.Fatal(err)
		}
		tr.FS = fs
		for i := range 50 {
			tr.create(tr.walk("d").ID, fmt.Sprint(i), "x")
			tr.remove(tr.walk("d").ID, fmt.Sprint(i))
			tr.read(tr.walk("d", "f").ID)
			tr.list(tr.Root())
		}
		if err := fs.Close(); err != nil {
			t.Fatal(err)
		}
		bad := tr.options
		bad.Lowers = []string{tr.options.Lowers[0], "/does/not/exist"}
		if _, err := overlay.Open(bad); err == nil {
			t.Fatal("opened without a lower directory")
		}
		bad = tr.options
		bad.State = "/dev/null/state"
		if _, err := overlay.Open(bad); err == nil {
			t.Fatal("opened without a state directory")
		}
	}
	if got := openDescriptors(t); got != fds {
		t.Errorf("%d descriptors are open, were %d", got, fds)
	}
	if got := runtime.NumGoroutine(); got > goroutines {
		t.Errorf("%d goroutines run, were %d", got, goroutines)
	}
}

// With few descriptors everything works, and the cache gives way to the rest.
func TestFewDescriptors(t *testing.T) {
	tr := newTree(t, 1)
	for i := range 100 {
		mustWrite(t, fmt.Sprintf("%s/d%d/f", tr.options.Lowers[0], i), "old")
	}
	tr.options.MaxOpen = 1000
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	few := old
	few.Cur = uint64(openDescriptors(t) + 40)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) })
	tr.open()
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			for i := g; i < 100; i += 3 {
				dir := fmt.Sprint("d", i)
				tr.write(tr.walk(dir, "f").ID, "new")
				tr.mkdir(tr.walk(dir).ID, "sub", 0o755)
				if got := tr.read(tr.walk(dir, "f").ID); got != "new" {
					t.Errorf("read %q", got)
				}
				if got := tr.list(tr.walk(dir).ID); !slices.Equal(got, []string{"f", "sub"}) {
					t.Errorf("%s holds %q", dir, got)
				}
			}
		})
	}
	wg.Wait()
}

func TestReadOnly(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Upper+"/f", "f")
	mustWrite(t, tr.options.Lowers[0]+"/d/g", "g")
	before := sums(t, []string{tr.options.Upper, tr.options.Lowers[0]})
	tr.options.ReadOnly = true
	tr.open()
	f, d := tr.walk("f"), tr.walk("d")
	if got := tr.read(tr.walk("d", "g").ID) + tr.read(f.ID); got != "gf" {
		t.Errorf("read %q", got)
	}
	var a overlay.Attr
	var w, w2 overlay.Change
	calls := map[string]error{
		"setattr": tr.Setattr(worker, f.ID, &overlay.SetAttr{SetMode: true}, &w),
		"write":   tr.Write(worker, f.ID, []byte("x"), 0, overlay.Unstable, &w),
		"create":  tr.Create(worker, d.ID, []byte("x"), &overlay.CreateHow{}, &a, &w),
		"mkdir":   tr.Mkdir(worker, d.ID, []byte("x"), &overlay.SetAttr{}, &a, &w),
		"symlink": tr.Symlink(worker, d.ID, []byte("x"), []byte("y"), &overlay.SetAttr{}, &a, &w),
		"mknod":   tr.Mknod(worker, d.ID, []byte("x"), overlay.ModeFIFO, 0, 0, &overlay.SetAttr{}, &a, &w),
		"remove":  tr.Remove(worker, tr.Root(), []byte("f"), &w),
		"rmdir":   tr.Rmdir(worker, tr.Root(), []byte("d"), &w),
		"rename":  tr.Rename(worker, tr.Root(), []byte("f"), d.ID, []byte("f"), &w, &w2),
	}
	_, calls["link"] = tr.Link(worker, f.ID, d.ID, []byte("x"), &a, &w)
	for name, err := range calls {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: error is %v, want EROFS", name, err)
		}
	}
	if err := tr.Commit(worker, f.ID, 0, 0, &w); err != nil {
		t.Errorf("commit: %v", err)
	}
	if after := sums(t, []string{tr.options.Upper, tr.options.Lowers[0]}); after != before {
		t.Errorf("changed from\n%s\nto\n%s", before, after)
	}
}

func TestOpenRefuses(t *testing.T) {
	tr := newTree(t, 0).open()
	_, err := overlay.Open(tr.options)
	var locked *overlay.LockedError
	if !errors.As(err, &locked) || locked.Dir != tr.options.Upper || locked.PID != os.Getpid() && runtime.GOOS == "linux" {
		t.Errorf("of an upper that is served: %v", err)
	}
	elsewhere := fmt.Sprintf("/dev/shm/overlay-work-%d", os.Getpid())
	t.Cleanup(func() { os.RemoveAll(elsewhere) })
	file := filepath.Join(t.TempDir(), "file")
	mustWrite(t, file, "")
	tests := []struct {
		name    string
		options overlay.Options
		want    string
	}{
		{"upper not there", overlay.Options{Upper: file + "x"}, "cannot be opened"},
		{"upper a file", overlay.Options{Upper: file}, "is not a directory"},
		{"lower a file", overlay.Options{Upper: t.TempDir(), Lowers: []string{file}}, "is not a directory"},
		{"work a file", overlay.Options{Upper: t.TempDir(), Work: file}, "work directory"},
		{"work elsewhere", overlay.Options{Upper: t.TempDir(), Work: elsewhere}, "another file system"},
		{"work in use", overlay.Options{Upper: t.TempDir(), Work: filepath.Dir(file)}, "not nixnfsd's"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, noShm := os.Stat("/dev/shm")
			testenv.Require(t, noShm == nil || tt.options.Work != elsewhere, "no second file system")
			fs, err := overlay.Open(tt.options)
			var unfit *overlay.UnfitError
			if !errors.As(err, &unfit) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
			if err == nil {
				fs.Close()
			}
		})
	}
}

// An upper that had lower directories keeps what its marks mean without them.
func TestLayeredUpperAlone(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/d/a", "a")
	mustWrite(t, tr.options.Lowers[0]+"/d/b", "b")
	tr.open()
	b := tr.walk("d", "b")
	tr.remove(tr.walk("d").ID, "a")
	tr.write(b.ID, "B")
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	tr.options.Lowers = nil
	tr.open()
	if got := tr.list(tr.walk("d").ID); !slices.Equal(got, []string{"b"}) {
		t.Errorf("without its lower directory, d holds %q", got)
	}
	if got := tr.walk("d", "b"); got.ID != b.ID {
		t.Errorf("ID is %v, was %v", got.ID, b.ID)
	}
}

func TestExclusiveCreate(t *testing.T) {
	tr := newTree(t, 1)
	mustWrite(t, tr.options.Lowers[0]+"/low", "low")
	tr.open()
	how := overlay.CreateHow{Mode: overlay.Exclusive, Verifier: [8]byte{0xff, 1, 2, 3, 0x80, 5, 6, 7}}
	other := overlay.CreateHow{Mode: overlay.Exclusive, Verifier: [8]byte{0x7f, 1, 2, 3, 0x80, 5, 6, 7}}
	var a, b overlay.Attr
	var w overlay.Change
	if err := tr.Create(worker, tr.Root(), []byte("f"), &how, &a, &w); err != nil {
		t.Fatal(err)
	}
	tr.reopen()
	if err := tr.Create(worker, tr.Root(), []byte("f"), &how, &b, &w); err != nil || a.ID != b.ID {
		t.Errorf("sent again: %v, %v, want %v", b.ID, err, a.ID)
	}
	wantErr(t, tr.Create(worker, tr.Root(), []byte("f"), &other, &b, &w), syscall.EEXIST)
	wantErr(t, tr.Create(worker, tr.Root(), []byte("low"), &how, &b, &w), syscall.EEXIST)
	guarded := overlay.CreateHow{Mode: overlay.Guarded}
	wantErr(t, tr.Create(worker, tr.Root(), []byte("low"), &guarded, &b, &w), syscall.EEXIST)
	cut := overlay.CreateHow{Attr: overlay.SetAttr{SetSize: true}}
	if err := tr.Create(worker, tr.Root(), []byte("low"), &cut, &b, &w); err != nil || b.Size != 0 {
		t.Errorf("cut to nothing: %+v, %v", b, err)
	}
	wrong := overlay.Time{Sec: 1}
	wantErr(t, tr.Setattr(worker, b.ID, &overlay.SetAttr{SetMode: true, Guard: &wrong}, &w), overlay.ErrNotSync)
}

// Handles lead to the same objects after the process was killed: nothing was
// closed, and the new one sees only what is on disk.
func TestHandlesAfterKill(t *testing.T) {
	tr := newTree(t, 1)
	lower := tr.options.Lowers[0]
	long := strings.Repeat("n", 255)
	mustWrite(t, lower+"/d/up", "up")
	mustWrite(t, lower+"/d/low", "low")
	mustWrite(t, lower+"/d/"+long, "long")
	if err := os.Symlink("to", lower+"/d/link"); err != nil {
		t.Fatal(err)
	}
	tr.open()
	d := tr.walk("d")
	ids := map[string]overlay.Attr{}
	for _, name := range []string{"up", "low", "link", long} {
		ids[name] = tr.walk("d", name)
	}
	tr.write(ids["up"].ID, "UP")
	ids["new"] = tr.create(d.ID, "new", "new")
	gone := tr.create(d.ID, "gone", "gone")
	tr.remove(d.ID, "gone")
	tr.mustRename(d.ID, "link", tr.Root(), "moved")
	tr.mustRename(tr.Root(), "d", tr.Root(), "e")
	// The killed process's files stay open here, and its locks with them: the new one
	// gets copies of the journal and other directories' locks by other paths.
	state := filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(state, os.DirFS(tr.options.State)); err != nil {
		t.Fatal(err)
	}
	killed := tr.FS
	tr.options.State = state
	if err := killed.Close(); err != nil { // gives up the lock; the copy does not see it
		t.Fatal(err)
	}
	tr.open()
	for name, was := range ids {
		var a overlay.Attr
		if err := tr.Getattr(was.ID, &a); err != nil || a.ID != was.ID {
			t.Errorf("%.10s is %v, %v", name, a.ID, err)
		}
	}
	for name, want := range map[string]string{"up": "UP", "low": "low", "new": "new", long: "long"} {
		if got := tr.read(ids[name].ID); got != want {
			t.Errorf("%.10s reads %q", name, got)
		}
		if got := tr.walk("e", name); got.ID != ids[name].ID {
			t.Errorf("%.10s is %v, was %v", name, got.ID, ids[name].ID)
		}
	}
	if got := tr.walk("moved"); got.ID != ids["link"].ID {
		t.Errorf("the link is %v, was %v", got.ID, ids["link"].ID)
	}
	var a overlay.Attr
	wantErr(t, tr.Getattr(gone.ID, &a), syscall.ESTALE)
}
