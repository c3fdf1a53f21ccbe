package overlay

import (
	"os"
	"sync"
	"syscall"
	"testing"
)

// lookupRoot gives a name in the root.
func lookupRoot(t *testing.T, fs *FS, name string) Attr {
	t.Helper()
	var a, dir Attr
	if _, err := fs.Lookup(blocking, fs.Root(), []byte(name), &a, &dir); err != nil {
		t.Fatal(err)
	}
	return a
}

// All who write to a lower file at once wait for one copy-up.
func TestCopyUpOnce(t *testing.T) {
	fs := openOver(t, "f")
	f := lookupRoot(t, fs, "f")
	before := fs.tmp.Load()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			var w Change
			if err := fs.Write(blocking, f.ID, []byte{byte(i)}, uint64(i), Unstable, &w); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := fs.tmp.Load() - before; got != 1 {
		t.Errorf("%d objects were made in the work directory, want the one copy", got)
	}
	var a Attr
	b := make([]byte, 32)
	n, _, err := fs.Read(blocking, f.ID, b, 0, &a)
	if err != nil || n != 16 {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	for i := range 16 {
		if b[i] != byte(i) {
			t.Errorf("byte %d is %d", i, b[i])
		}
	}
	if len(fs.copies.of) > 0 {
		t.Errorf("%d copy-ups are still under way", len(fs.copies.of))
	}
}

// Of those who want an object that somebody else copies up for long, who comes again
// is sent away, all others wait, and nobody who wants another object.
func TestCopyUpBesideLongOne(t *testing.T) {
	fs := openOver(t, "f", "g")
	f, g := lookupRoot(t, fs, "f"), lookupRoot(t, fs, "g")
	end, err := fs.copies.begin(blocking, fs.nodes.get(f.ID))
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		var w Change
		waited <- fs.Write(blocking, f.ID, []byte("w"), 0, Unstable, &w)
	}()
	client := blocking
	client.Retries = true
	var w Change
	if err := fs.Write(client, f.ID, []byte("c"), 0, Unstable, &w); err != syscall.EAGAIN {
		t.Errorf("who comes again gets %v, want EAGAIN", err)
	}
	if err := fs.Write(client, g.ID, []byte("c"), 0, Unstable, &w); err != nil {
		t.Errorf("another file: %v", err)
	}
	select {
	case err := <-waited:
		t.Errorf("who waits got %v before the copy-up's end", err)
	default:
	}
	end()
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if err := fs.Write(client, f.ID, []byte("c"), 0, Unstable, &w); err != nil {
		t.Errorf("who came again: %v", err)
	}
}

// A lower file that was replaced behind the server is not copied up as the one that
// the client knows.
func TestCopyUpOfReplaced(t *testing.T) {
	fs := openOver(t, "f")
	f := lookupRoot(t, fs, "f")
	path := fs.layers[1].path + "/f"
	if err := os.WriteFile(path+"-new", []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+"-new", path); err != nil {
		t.Fatal(err)
	}
	var w Change
	if err := fs.Write(blocking, f.ID, []byte("w"), 0, Unstable, &w); err != syscall.ESTALE {
		t.Errorf("error is %v, want ESTALE", err)
	}
	if _, err := os.Lstat(fs.layers[0].path + "/f"); !os.IsNotExist(err) {
		t.Errorf("in the upper: %v", err)
	}
	if got := lookupRoot(t, fs, "f"); got.ID == f.ID || got.Size != 7 {
		t.Errorf("the name stands for %+v, was %+v", got, f)
	}
}

// Zeros need not be written to a copy, and nothing else is taken for them.
func TestIsZero(t *testing.T) {
	for _, size := range []int{0, 1, 2, 4096, copyBuffer} {
		p := make([]byte, size)
		if !isZero(p) {
			t.Errorf("%d zeros are none", size)
		}
		for _, at := range []int{0, size / 2, size - 1} {
			if size == 0 {
				continue
			}
			p[at] = 1
			if isZero(p) {
				t.Errorf("%d bytes with a 1 at %d are zeros", size, at)
			}
			p[at] = 0
		}
	}
}
