package overlay_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// asUser runs the test as an ordinary user too, when it was started by root: what
// modes forbid shows only to one.
func asUser(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	const uid = 1000
	dir, err := os.MkdirTemp("", "overlay-user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
}

// A copy-up changes nothing that a client sees, of any type and mode.
func TestCopyUpKeeps(t *testing.T) {
	asUser(t)
	tests := []struct {
		name string
		make func(path string) error
		mode os.FileMode
	}{
		{"file", func(p string) error { return os.WriteFile(p, []byte("data"), 0o600) }, 0o644},
		{"read-only file", func(p string) error { return os.WriteFile(p, []byte("data"), 0o600) }, 0o444},
		{"executable", func(p string) error { return os.WriteFile(p, []byte("data"), 0o600) }, 0o555},
		{"empty file", func(p string) error { return os.WriteFile(p, nil, 0o600) }, 0o600},
		{"sparse file", sparse, 0o644},
		{"directory", func(p string) error { return os.Mkdir(p, 0o700) }, 0o755},
		{"read-only directory", func(p string) error { return os.Mkdir(p, 0o700) }, 0o555},
		{"closed directory", func(p string) error { return os.Mkdir(p, 0o700) }, 0o000},
		{"sticky directory", func(p string) error { return os.Mkdir(p, 0o700) }, 0o777 | os.ModeSticky},
		{"symlink", func(p string) error { return os.Symlink("target", p) }, 0},
		{"FIFO", func(p string) error { return syscall.Mkfifo(p, 0o600) }, 0o640},
		{"socket", func(p string) error { return syscall.Mknod(p, syscall.S_IFSOCK|0o600, 0) }, 0o640},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, 1)
			path := tr.options.Lowers[0] + "/d/x"
			mustMkdir(t, filepath.Dir(path))
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			if tt.mode != 0 {
				if err := os.Chmod(path, tt.mode); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					os.Chmod(path, 0o700)
					os.Chmod(tr.options.Upper+"/d/x", 0o700)
				})
				tv := []syscall.Timespec{{Sec: 1e9, Nsec: 1}, {Sec: 1e9, Nsec: 2}}
				if err := syscall.UtimesNano(path, tv); err != nil {
					t.Fatal(err)
				}
			}
			tr.open()
			before := tr.walk("d", "x")
			var w overlay.Change
			if err := tr.Setattr(worker, before.ID, &overlay.SetAttr{SetAtime: overlay.ServerTime}, &w); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(tr.options.Upper + "/d/x"); err != nil {
				t.Errorf("after copy-up: %v", err)
			}
			for range 2 {
				after := tr.walk("d", "x")
				same := after
				same.Ctime, same.Atime, same.Used = before.Ctime, before.Atime, before.Used
				if same != before {
					t.Errorf("copy-up changed\n%+v to\n%+v", before, after)
				}
				if before.Used*2 < before.Size && after.Used*2 > after.Size {
					t.Errorf("a file of %d bytes that used %d uses %d", after.Size, before.Used, after.Used)
				}
				if got := tr.fileids(tr.walk("d").ID)["x"]; got != before.ID.Fileid {
					t.Errorf("listed as %x, want %x", got, before.ID.Fileid)
				}
				tr.reopen()
			}
		})
	}
}

func sparse(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte("end"), 8<<20)
	return err
}

// The owner reads and writes a file whatever its mode, and the mode stays.
func TestOwnerWritesReadOnly(t *testing.T) {
	asUser(t)
	tr := newTree(t, 1)
	tr.options.MaxOpen = 1 // so that it is opened again and again
	mustWrite(t, tr.options.Lowers[0]+"/f", "data")
	tr.open()
	other := tr.create(tr.Root(), "other", "x")
	f := tr.walk("f")
	var w overlay.Change
	if err := tr.Setattr(worker, f.ID, &overlay.SetAttr{SetMode: true, Mode: 0o400}, &w); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mode atomic.Uint32
	mode.Store(0o400)
	for i := range 4 {
		wg.Go(func() {
			for range 300 {
				var w overlay.Change
				var a overlay.Attr
				if i == 0 {
					next := mode.Load() ^ 0o040
					if err := tr.Setattr(worker, f.ID, &overlay.SetAttr{SetMode: true, Mode: next}, &w); err != nil {
						t.Error(err)
					}
					mode.Store(next)
				}
				if err := tr.Write(worker, f.ID, []byte("x"), 0, overlay.Unstable, &w); err != nil {
					t.Error(err)
				}
				if _, _, err := tr.Read(worker, other.ID, make([]byte, 1), 0, &a); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := tr.walk("f").Mode & 0o7777; got != mode.Load() {
		t.Errorf("mode is %o, was set to %o", got, mode.Load())
	}
}

// What is made in a whiteout's place may have any mode.
func TestMakeOverWhiteout(t *testing.T) {
	asUser(t)
	for _, mode := range []uint32{0o755, 0o555, 0o000} {
		t.Run(fmt.Sprintf("%03o", mode), func(t *testing.T) {
			tr := newTree(t, 1)
			mustWrite(t, tr.options.Lowers[0]+"/d/f", "hidden")
			tr.open()
			d := tr.walk("d")
			tr.remove(d.ID, "f")
			var w overlay.Change
			if err := tr.Rmdir(worker, tr.Root(), []byte("d"), &w); err != nil {
				t.Fatal(err)
			}
			made := tr.mkdir(tr.Root(), "d", mode)
			if got := made.Mode & 0o7777; got != mode {
				t.Errorf("mode is %o", got)
			}
			if made.ID == d.ID {
				t.Errorf("the new directory is the old one, %v", d.ID)
			}
			var a overlay.Attr
			if err := tr.Setattr(worker, made.ID, &overlay.SetAttr{SetMode: true, Mode: 0o755}, &w); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := tr.list(made.ID); len(got) != 0 {
					t.Errorf("the new directory holds %q", got)
				}
				wantErr(t, tr.Getattr(d.ID, &a), syscall.ESTALE)
				tr.reopen()
			}
		})
	}
}

// A directory that its owner may not write to holds whiteouts and still goes, or is
// replaced.
func TestRemoveReadOnlyDirectoryOfWhiteouts(t *testing.T) {
	asUser(t)
	for _, over := range []bool{false, true} {
		for _, below := range []bool{false, true} {
			t.Run(fmt.Sprintf("replaced %v, over a lower one %v", over, below), func(t *testing.T) {
				tr := newTree(t, 1)
				mustWrite(t, tr.options.Lowers[0]+"/d/sub/f", "hidden")
				tr.open()
				dir, name := tr.walk("d").ID, "sub"
				sub := tr.walk("d", "sub").ID
				tr.remove(sub, "f")
				if !below {
					dir, name = tr.Root(), "moved"
					tr.mustRename(tr.walk("d").ID, "sub", dir, name)
				}
				var w overlay.Change
				if err := tr.Setattr(worker, sub, &overlay.SetAttr{SetMode: true, Mode: 0o555}, &w); err != nil {
					t.Fatal(err)
				}
				want := []string{}
				if over {
					tr.create(tr.mkdir(tr.Root(), "new", 0o755).ID, "n", "n")
					tr.mustRename(tr.Root(), "new", dir, name)
					want = []string{"n"}
				} else {
					if err := tr.Rmdir(worker, dir, []byte(name), &w); err != nil {
						t.Fatal(err)
					}
					tr.mkdir(dir, name, 0o755)
				}
				for range 2 {
					var a, d overlay.Attr
					if _, err := tr.Lookup(worker, dir, []byte(name), &a, &d); err != nil {
						t.Fatal(err)
					}
					if got := tr.list(a.ID); !slices.Equal(got, want) {
						t.Errorf("in its place there is %q, want %q", got, want)
					}
					wantErr(t, tr.Getattr(sub, &a), syscall.ESTALE)
					left, _ := filepath.Glob(tr.options.Upper + ".work/#*")
					if len(left) > 0 {
						t.Errorf("the work directory holds %q", left)
					}
					tr.reopen()
				}
			})
		}
	}
}

// A lower file of several names keeps its count of names, and its data while one of
// them is left.
func TestLinksOfLower(t *testing.T) {
	asUser(t)
	names := []string{"a", "b", "c"}
	for _, mode := range []os.FileMode{0o644, 0o000} {
		for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			for _, up := range names {
				for _, reopen := range []bool{false, true} {
					t.Run(fmt.Sprintf("%o %v %s %v", mode, order, up, reopen), func(t *testing.T) {
						tr := newTree(t, 1)
						lower := tr.options.Lowers[0]
						mustWrite(t, lower+"/a", "old")
						mustLink(t, lower+"/a", lower+"/b")
						mustLink(t, lower+"/a", lower+"/c")
						if err := os.Chmod(lower+"/a", 0o644); err != nil {
							t.Fatal(err)
						}
						tr.open()
						f := tr.walk(up)
						tr.write(f.ID, "new")
						var w overlay.Change
						if err := tr.Setattr(worker, f.ID, &overlay.SetAttr{SetMode: true, Mode: uint32(mode)}, &w); err != nil {
							t.Fatal(err)
						}
						for i, at := range order {
							if reopen {
								tr.reopen()
							}
							for _, left := range order[i:] {
								got := tr.walk(names[left])
								if got.ID != f.ID || int(got.Nlink) != len(names)-i || got.Mode&0o777 != uint32(mode) {
									t.Errorf("%d removed: %s is %+v", i, names[left], got)
								}
							}
							if got := tr.read(f.ID); got != "new" {
								t.Errorf("%d removed: read %q", i, got)
							}
							tr.remove(tr.Root(), names[at])
						}
						wantErr(t, tr.Getattr(f.ID, &f), syscall.ESTALE)
						if got := indexed(t, tr); len(got) != 0 {
							t.Errorf("the index holds %q", got)
						}
						if got := tr.list(tr.Root()); len(got) != 0 {
							t.Errorf("root holds %q", got)
						}
					})
				}
			}
		}
	}
}

// Random changes as an ordinary user, modes that forbid things among them, end in a
// tree that is the same however it is looked at.
func TestConcurrentChangesAsUser(t *testing.T) {
	asUser(t)
	tr := newTree(t, 1)
	plant(t, tr.options.Lowers[0], 7)
	before := sums(t, tr.options.Lowers)
	tr.open()
	tr.storm()
	for range 2 {
		tr.consistent(tr.Root(), "")
		tr.reopen()
	}
	if after := sums(t, tr.options.Lowers); after != before {
		t.Errorf("the lower directory changed from\n%s\nto\n%s", before, after)
	}
}

// A socket has the mode that it was made with, however long its path, and may get another.
func TestMakeSocket(t *testing.T) {
	asUser(t)
	for lowers := range 2 {
		tr := newTree(t, lowers).open()
		dir := tr.mkdir(tr.Root(), strings.Repeat("d", 200), 0o755)
		var a overlay.Attr
		var w overlay.Change
		mode := func(m uint32) *overlay.SetAttr { return &overlay.SetAttr{SetMode: true, Mode: m} }
		for _, want := range []error{nil, syscall.EEXIST} {
			err := tr.Mknod(worker, dir.ID, []byte("s"), overlay.ModeSocket, 0, 0, mode(0o640), &a, &w)
			wantErr(t, err, want)
		}
		if err := tr.Setattr(worker, a.ID, mode(0), &w); err != nil {
			t.Fatal(err)
		}
		tr.reopen()
		if got := tr.walk(strings.Repeat("d", 200), "s"); a.Mode != overlay.ModeSocket|0o640 || got.Mode != overlay.ModeSocket || got.ID != a.ID {
			t.Errorf("made %v with mode %o, set to 0; then it is %v with mode %o", a.ID, a.Mode, got.ID, got.Mode)
		}
	}
}
