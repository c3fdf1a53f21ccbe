package nfs

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

func TestHandles(t *testing.T) {
	h := newHandles(testKey)
	want := overlay.ID{Fileid: 1<<63 + 5, Gen: 1 << 40}
	var e xdr.Encoder
	h.append(&e, want)
	b := (&xdr.Decoder{B: e.B}).Opaque(maxHandle)
	if got, ok := h.parse(b); !ok || got != want {
		t.Fatalf("got %v %v, want %v", got, ok, want)
	}
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		if _, ok := h.parse(b); ok {
			t.Errorf("bit %d flipped: accepted", i)
		}
		b[i/8] ^= 1 << (i % 8)
	}
	for n := range b {
		if _, ok := h.parse(b[:n]); ok {
			t.Errorf("%d bytes: accepted", n)
		}
	}
	if _, ok := newHandles(Key{9}).parse(b); ok {
		t.Error("another key: accepted")
	}
	if h.fsid() == newHandles(Key{9}).fsid() {
		t.Error("fsid does not depend on the key")
	}
}

func TestLoadKey(t *testing.T) {
	dir := t.TempDir()
	k, err := LoadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if k == (Key{}) {
		t.Error("key is zero")
	}
	if again, err := LoadKey(dir); err != nil || again != k {
		t.Errorf("got %v %v, want %v", again, err, k)
	}
	path := filepath.Join(dir, "key")
	if fi, err := os.Stat(path); err != nil || fi.Mode() != 0o600 {
		t.Errorf("got mode %v, %v", fi.Mode(), err)
	}
	if err := os.Truncate(path, 15); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(dir); err == nil || !strings.Contains(err.Error(), "15 bytes instead of 16") {
		t.Errorf("short key: got %v", err)
	}
	if _, err := LoadKey(filepath.Join(dir, "gone")); err == nil {
		t.Error("no directory: got no error")
	}
}

// TestKeyIsPipe waits for nobody to write into it.
func TestKeyIsPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "key"), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = "key is not a regular file"
	if _, err := LoadKey(dir); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("to load it: %v", err)
	}
	if err := (Key{}).IsIn(dir); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("to compare it: %v", err)
	}
}
