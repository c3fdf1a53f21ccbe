package overlay

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRenameBesideLongOne: a rename of a directory, or onto a name that lower layers have, is
// sent away where it would wait for what somebody else does in the directory.
func TestRenameBesideLongOne(t *testing.T) {
	tests := []struct {
		name, to string
		ready    func(t *testing.T, fs *FS)
	}{
		{"that lower layers have", "new", func(t *testing.T, fs *FS) {
			var w Change
			if err := fs.Setattr(blocking, lookupRoot(t, fs, "d").ID, &SetAttr{SetMode: true, Mode: 0o700}, &w); err != nil {
				t.Fatal(err)
			}
		}},
		{"onto a lower name", "gone", func(t *testing.T, fs *FS) {
			var a Attr
			var w Change
			for _, name := range []string{"gone", "d"} {
				if err := fs.Rmdir(blocking, fs.Root(), []byte(name), &w); err != nil {
					t.Fatal(err)
				}
			}
			if err := fs.Mkdir(blocking, fs.Root(), []byte("d"), new(SetAttr), &a, &w); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := openOver(t)
			for _, name := range []string{"d", "gone"} {
				if err := os.Mkdir(filepath.Join(fs.layers[1].path, name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			tt.ready(t, fs)
			d := fs.nodes.get(lookupRoot(t, fs, "d").ID)
			var from, to Change
			d.mu.Lock()
			err := fs.Rename(Caller{UID: blocking.UID, GID: blocking.GID}, fs.Root(), []byte("d"), fs.Root(), []byte(tt.to), &from, &to)
			d.mu.Unlock()
			if err != ErrWouldBlock {
				t.Errorf("got %v, want ErrWouldBlock", err)
			}
			if err := fs.Rename(blocking, fs.Root(), []byte("d"), fs.Root(), []byte(tt.to), &from, &to); err != nil {
				t.Error(err)
			}
		})
	}
}
