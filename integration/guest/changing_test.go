//go:build linux

package guest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	oldBytes = 2 << 20
	newBytes = 3 << 20
)

// TestOverChangingLower changes a lower layer behind the server, which nobody should. What
// was open gives its old bytes or ESTALE, the name the new object: never bytes of both.
func TestOverChangingLower(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, lower, path string)
		want   []byte // under the name; nil: nothing
		late   bool   // what was there before may show for as long as the client does not ask
	}{
		{"replaced", func(t *testing.T, lower, path string) {
			writeOf(t, filepath.Join(lower, "new"), 'b', newBytes)
			try(t, os.Rename(filepath.Join(lower, "new"), path))
		}, bytesOf('b', newBytes), false},
		{"removed", func(t *testing.T, _, path string) { try(t, os.Remove(path)) }, nil, false},
		{"made again", func(t *testing.T, _, path string) {
			try(t, os.Remove(path))
			writeOf(t, path, 'b', newBytes)
		}, bytesOf('b', newBytes), false},
		{"directory replaced", func(t *testing.T, lower, path string) {
			try(t, os.Rename(filepath.Dir(path), filepath.Join(lower, "away")))
			writeOf(t, path, 'b', newBytes)
		}, bytesOf('b', newBytes), true},
		{"directory removed", func(t *testing.T, _, path string) { try(t, os.RemoveAll(filepath.Dir(path))) }, nil, false},
		{"behind a directory", func(t *testing.T, _, path string) {
			try(t, os.Remove(path))
			writeOf(t, filepath.Join(path, "inside"), 'b', 1)
		}, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := layered(t, func(lowers []string) { writeOf(t, filepath.Join(lowers[1], "dir", "f"), 'a', oldBytes) })
			path := filepath.Join(l.merged, "dir", "f")
			early := readOf(t, path)
			defer early.Close()
			writer, err := os.OpenFile(path, os.O_RDWR, 0)
			try(t, err)
			tt.change(t, l.lowers[1], filepath.Join(l.lowers[1], "dir", "f"))
			oneOf(t, "the old descriptor", early, bytesOf('a', oldBytes))
			late := []byte(nil)
			if tt.late {
				late = bytesOf('a', oldBytes)
			}
			wantOf(t, path, tt.want, late)
			_, err = writer.WriteAt([]byte("c"), oldBytes/2)
			if err := errors.Join(err, writer.Close()); err != nil && !errors.Is(err, syscall.ESTALE) {
				t.Errorf("write to the old object: %v, want ESTALE", err)
			}
			wantOf(t, path, tt.want, late)
			wantOf(t, filepath.Join(l.upper, "dir", "f"), nil, nil)
		})
	}
}

func bytesOf(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

func writeOf(t *testing.T, path string, b byte, n int) {
	t.Helper()
	try(t, os.MkdirAll(filepath.Dir(path), 0o755))
	try(t, os.WriteFile(path, bytesOf(b, n), 0o644))
}

// readOf opens a file and has the server give its first half.
func readOf(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	try(t, err)
	_, err = f.ReadAt(make([]byte, oldBytes/2), 0)
	try(t, err)
	return f
}

// oneOf reads all of a file from the server: the bytes wanted, or ESTALE.
func oneOf(t *testing.T, what string, f *os.File, want []byte) {
	t.Helper()
	try(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
	got := make([]byte, newBytes+1)
	n, err := unix.Pread(int(f.Fd()), got, 0)
	switch {
	case err == nil && bytes.Equal(got[:n], want):
		t.Logf("%s: the old bytes", what)
	case errors.Is(err, syscall.ESTALE):
		t.Logf("%s: ESTALE", what)
	default:
		t.Errorf("%s: %d bytes of which %d are old, error %v; want %d old ones or ESTALE", what, n, bytes.Count(got[:max(n, 0)], want[:1]), err, len(want))
	}
}

// wantOf looks what is under a name: nil is nothing, or no file. Late bytes are as good.
func wantOf(t *testing.T, path string, want, late []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if want == nil && (errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR)) {
		return
	}
	if err != nil || !(want != nil && bytes.Equal(got, want) || late != nil && bytes.Equal(got, late)) {
		t.Errorf("%s: %d bytes, %d of them new, error %v; want %d new ones", path, len(got), bytes.Count(got, []byte("b")), err, len(want))
	}
}
