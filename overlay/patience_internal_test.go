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

// TestLongTruncation: to free many blocks is worth a worker, also where the file stays.
func TestLongTruncation(t *testing.T) {
	fs := openOver(t)
	path := filepath.Join(fs.layers[0].path, "f")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 2 * bigFile
	if err := allocate(int(f.Fd()), 0, size); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	id := lookupRoot(t, fs, "f").ID
	hurried := Caller{UID: blocking.UID, GID: blocking.GID}
	tests := []struct {
		name string
		c    Caller
		size uint64
		want error
	}{
		{"cut short", hurried, 0, ErrWouldBlock},
		{"cut short by a worker", blocking, bigFile, nil},
		{"made longer", hurried, 2 * size, nil},
	}
	for _, tt := range tests {
		before := lookupRoot(t, fs, "f").Size
		var w Change
		err := fs.Setattr(tt.c, id, &SetAttr{SetSize: true, Size: tt.size}, &w)
		if err != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		want := tt.size
		if err != nil {
			want = before
		}
		if got := lookupRoot(t, fs, "f").Size; got != want {
			t.Errorf("%s: size is %d, want %d", tt.name, got, want)
		}
	}
}
