package overlay_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// A lower directory from elsewhere can hold the whiteouts that take root to make. Ours
// makes none by mistake.
func TestWhiteoutDevices(t *testing.T) {
	testenv.Require(t, os.Getuid() == 0, "only root makes devices")
	tr := newTree(t, 2)
	mustWrite(t, tr.options.Lowers[1]+"/d/f", "hidden")
	mustWrite(t, tr.options.Lowers[1]+"/d/g", "shows")
	mustMkdir(t, tr.options.Lowers[0]+"/d")
	if err := unix.Mknod(tr.options.Lowers[0]+"/d/f", unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	tr.open()
	d := tr.walk("d")
	if got := tr.list(d.ID); !slices.Equal(got, []string{"g"}) {
		t.Errorf("d holds %q", got)
	}
	_, err := tr.tryWalk("d", "f")
	wantErr(t, err, syscall.ENOENT)
	var a overlay.Attr
	var w overlay.Change
	wantErr(t, tr.Mknod(worker, d.ID, []byte("f"), overlay.ModeChar, 0, 0, &overlay.SetAttr{}, &a, &w), syscall.EPERM)
	if f := tr.create(d.ID, "f", "new"); tr.read(f.ID) != "new" {
		t.Errorf("made again, f reads %q", tr.read(f.ID))
	}
	tr.sameAsKernel()
}

// What is made over a whiteout gets the group of a set-gid directory, as anything there,
// and a change of hands takes no set-id bits that were asked for.
func TestSetgidDirectoryOverWhiteout(t *testing.T) {
	testenv.Require(t, os.Getuid() == 0, "only root gives a directory any group")
	tr := newTree(t, 1)
	for _, name := range []string{"dir", "file", "fifo"} {
		mustWrite(t, tr.options.Lowers[0]+"/"+name, "lower")
	}
	tr.open()
	const gid = 4711
	var a overlay.Attr
	var w overlay.Change
	set := &overlay.SetAttr{SetMode: true, Mode: 0o2775, SetGID: true, GID: gid}
	if err := tr.Setattr(worker, tr.Root(), set, &w); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dir", "file", "fifo"} {
		tr.remove(tr.Root(), name)
	}
	mode := overlay.SetAttr{SetMode: true, Mode: 0o4755}
	tests := []struct {
		name string
		make func() error
		mode uint32
	}{
		{"dir", func() error { return tr.Mkdir(worker, tr.Root(), []byte("dir"), &mode, &a, &w) }, overlay.ModeDir | 0o6755},
		{"file", func() error {
			return tr.Create(worker, tr.Root(), []byte("file"), &overlay.CreateHow{Attr: mode}, &a, &w)
		}, overlay.ModeRegular | 0o4755},
		{"fifo", func() error {
			return tr.Mknod(worker, tr.Root(), []byte("fifo"), overlay.ModeFIFO, 0, 0, &mode, &a, &w)
		}, overlay.ModeFIFO | 0o4755},
	}
	for _, tt := range tests {
		if err := tt.make(); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if a.GID != gid || a.Mode != tt.mode {
			t.Errorf("%s has group %d and mode %o, want %d and %o", tt.name, a.GID, a.Mode, gid, tt.mode)
		}
	}
}

// chown(2) takes set-id bits also when nothing changes hands.
func TestChownToTheSame(t *testing.T) {
	tests := []struct{ mode, want uint32 }{
		{0o4755, 0o755}, {0o4644, 0o644}, {0o2755, 0o755}, {0o2644, 0o2644}, {0o6010, 0o010}, {0o1777, 0o1777},
	}
	tr := newTree(t, 0).open()
	for _, tt := range tests {
		name := fmt.Sprintf("%o", tt.mode)
		a := tr.create(tr.Root(), name, "")
		plain := tr.options.Upper + "/plain" + name
		mustWrite(t, plain, "")
		var w overlay.Change
		for _, s := range []overlay.SetAttr{{SetMode: true, Mode: tt.mode}, {SetUID: true, UID: a.UID}} {
			if err := tr.Setattr(worker, a.ID, &s, &w); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(unix.Chmod(plain, tt.mode), os.Lchown(plain, os.Getuid(), -1)); err != nil {
			t.Fatal(err)
		}
		if got, system := tr.walk(name).Mode, tr.walk("plain"+name).Mode; got != overlay.ModeRegular|tt.want || got != system {
			t.Errorf("%s becomes %o, want %o; the system makes it %o", name, got, tt.want, system)
		}
	}
}
