package overlay_test

import (
	"crypto/sha256"
	"encoding/base32"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// storedLong is the stored name that a dictionary explains.
func storedLong(name string) string {
	sum := sha256.Sum256([]byte(name))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
}

// TestHostileDictionary: the dictionary of a lower layer cannot make a path out of a name,
// to get out of the layers by it, nor a name that is spelt otherwise.
func TestHostileDictionary(t *testing.T) {
	for _, upper := range []bool{false, true} {
		tr := newTree(t, 2)
		secret := filepath.Join(filepath.Dir(tr.options.Upper), "secret")
		mustWrite(t, secret, "secret")
		plain, hostile := tr.options.Lowers[0], tr.options.Lowers[1]
		escape(t, hostile)
		if upper {
			escape(t, tr.options.Upper)
		}
		deep := filepath.Join("a", "b")
		mustMkdir(t, filepath.Join(plain, deep))
		mustMkdir(t, filepath.Join(tr.options.Upper, deep))
		names := []string{
			strings.Repeat("../", 3) + "secret", strings.Repeat("./", 60) + strings.Repeat("../", 3) + "secret",
			strings.Repeat("X", 200) + "\x00", strings.Repeat("X", 256), "short", "..", "",
		}
		for _, name := range names {
			mustWrite(t, filepath.Join(hostile, "%~names", storedLong(name)), name)
			mustWrite(t, filepath.Join(hostile, deep, "%~"+storedLong(name)), "bait")
		}
		mustWrite(t, filepath.Join(hostile, deep, "innocent"), "x")
		tr.open()
		d := tr.walk("a", "b")
		if got := tr.list(d.ID); !slices.Equal(got, []string{"innocent"}) {
			t.Errorf("escaped upper %v: got %q", upper, got)
		}
		tr.page(d.ID, 0, true, 1<<10)
	}
}
