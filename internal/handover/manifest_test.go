package handover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A link that has the manifest's name is replaced, and what it leads to stays as it was.
func TestManifestIsWrittenThroughNoLink(t *testing.T) {
	dir := t.TempDir()
	other, path := filepath.Join(dir, "other"), filepath.Join(dir, "handover")
	if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, path); err != nil {
		t.Fatal(err)
	}
	b, err := New("", dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.write(new(manifest)); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(other); err != nil || string(got) != "other" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the manifest has a name: %v", err)
	}
}

// What follows the manifest is as long as that says, or the manifest is none.
func TestUnread(t *testing.T) {
	for _, tt := range []struct {
		behind, want string
		n            int
		ok           bool
	}{
		{"abc", "", 0, true},
		{"abc", "ab", 2, true},
		{"abc", "abc", 3, true},
		{"abc", "", 4, false},
		{"abc", "", 1 << 40, false},
		{"abc", "", -1, false},
	} {
		got, err := readUnread(strings.NewReader(tt.behind), tt.n)
		if string(got) != tt.want || (err == nil) != tt.ok {
			t.Errorf("%d of %q: got %q, %v", tt.n, tt.behind, got, err)
		}
	}
}
