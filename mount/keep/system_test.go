package keep

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckPoint: temporary directories lie below one that everybody can write to, and the
// system's own do not.
func TestCheckPoint(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	tt := []struct{ dir, want string }{
		{"/", ""},
		{"/usr", ""},
		{dir, "others could put something else in the place of"},
		{file, "is no directory"},
		{link, "is no directory"},
		{filepath.Join(link, "x"), "there is no directory"},
		{filepath.Join(dir, "none"), "there is no directory"},
	}
	for _, tc := range tt {
		err := checkPoint(tc.dir)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.dir, err, tc.want)
		}
	}
}
