package overlay

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// noteWorld is an overlay that ends in the middle of what it does.
type noteWorld struct {
	*FS
	t       *testing.T
	options Options
}

func newNoteWorld(t *testing.T) *noteWorld {
	w := &noteWorld{t: t, options: Options{Upper: filepath.Join(t.TempDir(), "upper")}}
	if err := os.MkdirAll(filepath.Join(w.options.Upper, "closed/inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.open()
	return w
}

func (w *noteWorld) open() {
	w.t.Helper()
	fs, err := Open(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.FS = fs
	w.t.Cleanup(func() { fs.Close() })
}

// dies calls f, which ends as if the process did, and opens the overlay again.
func (w *noteWorld) dies(f func(die func() error) error) {
	w.t.Helper()
	func() {
		defer func() { _ = recover() }()
		w.t.Errorf("returned with error %v", f(func() error { panic("the end") }))
	}()
	if err := w.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

// dir opens a directory of the upper as a place to look from.
func (w *noteWorld) dir(path string) int {
	w.t.Helper()
	fd, err := unix.Open(filepath.Join(w.options.Upper, path), openDir, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func (w *noteWorld) chmod(path string, mode os.FileMode) {
	w.t.Helper()
	if err := os.Chmod(filepath.Join(w.options.Upper, path), mode); err != nil {
		w.t.Fatal(err)
	}
}

// wantMode compares a mode, and wants no note to be left.
func (w *noteWorld) wantMode(path string, want os.FileMode) {
	w.t.Helper()
	st, err := os.Lstat(filepath.Join(w.options.Upper, path))
	if err != nil {
		w.t.Fatal(err)
	}
	if st.Mode().Perm() != want {
		w.t.Errorf("%s: mode is %o, want %o", path, st.Mode().Perm(), want)
	}
	notes, err := filepath.Glob(w.options.Upper + ".work/mode-*")
	if err != nil || len(notes) > 0 {
		w.t.Errorf("notes are left: %q, error %v", notes, err)
	}
}

// TestWidenedModes: a mode that was widened when the process ended is put back, of a
// directory, of what is inside, and of what was moved.
func TestWidenedModes(t *testing.T) {
	w := newNoteWorld(t)
	w.chmod("closed/inner", 0o511)
	w.chmod("closed", 0o500)
	closed := w.dir("closed")
	w.dies(func(die func() error) error {
		return w.allowed(closed, &dotName[0], 0o700, func() error {
			return w.allowed(closed, cString("inner\x00"), 0o700, die)
		})
	})
	w.wantMode("closed", 0o500)
	w.wantMode("closed/inner", 0o511)

	upper, work := w.dir("."), w.work.dir.stack.Load().parts[0].dir.p.Load().fd
	if err := unix.Mkdirat(work, "#made", 0o555); err != nil {
		t.Fatal(err)
	}
	w.dies(func(die func() error) error {
		made, moved := cString("#made\x00"), cString("moved\x00")
		return w.allowedTo(work, made, upper, moved, 0o700, func() error {
			if err := sysRenameAt(work, made, upper, moved); err != nil {
				return err
			}
			return die()
		})
	})
	w.wantMode("moved", 0o555)
}

// TestWidenedModeOfAnother: a note does nothing to an object that is another, or was
// given a mode since, and stays when it cannot be read.
func TestWidenedModeOfAnother(t *testing.T) {
	w := newNoteWorld(t)
	upper := w.dir(".")
	for _, change := range []func(){
		func() { w.chmod("closed", 0o711) },
		func() {
			path := filepath.Join(w.options.Upper, "closed")
			if err := os.Rename(path, path+"-old"); err != nil {
				t.Error(err)
			}
			if err := os.Mkdir(path, 0o711); err != nil {
				t.Error(err)
			}
		},
	} {
		w.chmod("closed", 0o500)
		w.dies(func(die func() error) error {
			return w.allowed(upper, cString("closed\x00"), 0o700, func() error {
				change()
				return die()
			})
		})
		w.wantMode("closed", 0o711)
	}
}

// TestSetattrBesideWidening: what a mode is widened to for a moment is not kept when a chown
// takes the set-uid bit away.
func TestSetattrBesideWidening(t *testing.T) {
	w := newNoteWorld(t)
	path := filepath.Join(w.options.Upper, "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod(path, 0o4111); err != nil {
		t.Fatal(err)
	}
	var a, dir Attr
	c := Caller{UID: w.uid, GID: w.gid, MayBlock: true}
	if _, err := w.Lookup(c, w.Root(), []byte("f"), &a, &dir); err != nil {
		t.Fatal(err)
	}
	waits := func() bool {
		w.modes.mu.Lock()
		defer w.modes.mu.Unlock()
		return w.modes.held[a.ID.Fileid].users > 1
	}
	done := make(chan error, 1)
	err := w.allowed(w.dir("."), cString("f\x00"), 0o400, func() error {
		go func() {
			var change Change
			done <- w.Setattr(c, a.ID, &SetAttr{SetUID: true, UID: w.uid}, &change)
		}()
		testenv.Await(t, "the chown waits for the mode", waits)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.wantMode("f", 0o111)
}

// TestModeNoteNames: only what make writes is read.
func TestModeNoteNames(t *testing.T) {
	m := modeNote{1 << 60, 0o500, 0o7777}
	if got, ok := parseModeNote(m.name()); !ok || got != m {
		t.Errorf("%s: got %+v, %v", m.name(), got, ok)
	}
	for _, name := range []string{"mode-", "mode-1-2", "mode-x-1-2", "mode-1-9-7", m.name() + "0x", "mode-+1-1-1"} {
		if got, ok := parseModeNote(name); ok {
			t.Errorf("%q is taken for %+v", name, got)
		}
	}
}
