package overlay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestLayersLeadNowhere: while somebody puts symbolic links that lead out of a layer in the
// place of files and directories, and takes them away again, nothing outside is read,
// listed or changed.
func TestLayersLeadNowhere(t *testing.T) {
	const rounds = 1000
	for _, layer := range []string{"lower", "upper"} {
		t.Run(layer, func(t *testing.T) {
			tr := newTree(t, 1)
			tr.spoilt = true
			tr.options.MaxOpen = 8 // things are opened anew all the time
			outside := plantOutside(t)
			plant(t, tr.options.Lowers[0], 1)
			plant(t, tr.options.Upper, 2)
			before := sums(t, []string{outside})
			tr.open()
			dir := map[string]string{"lower": tr.options.Lowers[0], "upper": tr.options.Upper}[layer]
			var stop atomic.Bool
			var wg sync.WaitGroup
			swaps := 0
			wg.Go(func() { swaps = swapLinks(t, dir, outside, &stop) })
			for seed := range uint64(2) {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(seed, 3))
					for range rounds {
						_ = tr.change(r) // any error will do
						tr.stayInside(r, outside)
					}
					stop.Store(true)
				})
			}
			wg.Wait()
			if swaps == 0 {
				t.Error("nothing was swapped")
			}
			t.Logf("%d links were there for a moment", swaps)
			if after := sums(t, []string{outside}); after != before {
				t.Errorf("what is outside changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

// plantOutside makes a tree like those of the layers, and in each directory a file that no
// layer has. Data and target of everything begin with the tree's path.
func plantOutside(t *testing.T) string {
	t.Helper()
	outside := t.TempDir()
	for _, dir := range []string{"", "a", "b", "a/b", "c"} {
		for _, file := range []string{"d", "e", "outside"} {
			path := filepath.Join(outside, dir, file)
			mustWrite(t, path, path)
		}
	}
	return outside
}

// swapLinks exchanges what is in a layer for links that lead out, and back, until it is
// told to stop. It gives how often it did.
func swapLinks(t *testing.T, layer, outside string, stop *atomic.Bool) (n int) {
	r := rand.New(rand.NewPCG(4, 5))
	aside := filepath.Join(t.TempDir(), "aside")
	name := func() string { return string(rune('a' + r.IntN(5))) }
	for i := 0; !stop.Load(); i++ {
		var dirs []string
		for range r.IntN(3) {
			dirs = append(dirs, name())
		}
		link := fmt.Sprint(aside, i)
		target := filepath.Join(outside, []string{"", "a", "b", "d"}[r.IntN(4)])
		if err := os.Symlink(target, link); err != nil {
			t.Error(err)
			return n
		}
		if swapLink(link, layer, filepath.Join(dirs...), name()) == nil {
			n++
		}
		os.RemoveAll(link)
	}
	return n
}

// swapLink exchanges a link for a name of a directory in the layer, and exchanges them
// back, unless the link has been moved elsewhere meanwhile. It goes through no such link itself.
func swapLink(link, layer, dir, name string) error {
	top, err := unix.Open(layer, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(top, "./"+dir, &how)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Renameat2(unix.AT_FDCWD, link, fd, name, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	_ = unix.Renameat2(unix.AT_FDCWD, link, fd, name, unix.RENAME_EXCHANGE)
	return nil
}

// stayInside reads and lists something, which must not be outside, and changes its attributes.
func (tr *tree) stayInside(r *rand.Rand, outside string) {
	dir := tr.someDir(r)
	var a, d overlay.Attr
	var w overlay.Change
	_, _ = tr.Readdir(worker, dir, 0, true, &d, func(e *overlay.DirEntry) bool {
		if string(e.Name) == "outside" {
			tr.t.Error("a directory outside was listed")
		}
		return true
	})
	if _, err := tr.Lookup(worker, dir, []byte("outside"), &a, &d); err == nil {
		tr.t.Error("a file outside was found")
	}
	if _, err := tr.Lookup(worker, dir, someName(r), &a, &d); err != nil {
		return
	}
	b := make([]byte, 1000)
	if n, _, err := tr.Read(worker, a.ID, b, 0, &d); err == nil && bytes.HasPrefix(b[:n], []byte(outside)) {
		tr.t.Errorf("a file outside was read: %s", b[:n])
	}
	set := overlay.SetAttr{SetMode: true, Mode: 0o700, SetMtime: overlay.ServerTime}
	if r.IntN(4) == 0 && !a.IsDir() {
		set.SetSize, set.Size = true, uint64(r.IntN(4000))
	}
	_ = tr.Setattr(worker, a.ID, &set, &w)
}
