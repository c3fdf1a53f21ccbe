package nar_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/nixnfsd/nixnfsd/internal/nar"
)

// TestArchive holds what nix-store --dump of Nix 2.8 printed of the same tree.
func TestArchive(t *testing.T) {
	var b bytes.Buffer
	w := nar.NewWriter(&b)
	err := w.Directory([]string{"run", "a-b", "link", "a"}, func(name string) error {
		switch name {
		case "run":
			return w.Regular(3, true, strings.NewReader("run"))
		case "link":
			return w.Symlink("a/b")
		case "a":
			return w.Directory([]string{"b"}, func(string) error { return w.Regular(8, false, strings.NewReader("12345678")) })
		}
		return w.Directory(nil, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "1cb9p4kcjzbac385wrnz8zad8322fa1f0xmmcgf2m66wgi79qvbx"
	sum := sha256.Sum256(b.Bytes())
	if got := nar.Base32(sum[:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFileThatIsNotOfItsSize(t *testing.T) {
	for _, size := range []int64{2, 4} {
		if err := nar.NewWriter(io.Discard).Regular(size, false, strings.NewReader("abc")); err == nil {
			t.Errorf("3 bytes are taken for %d", size)
		}
	}
}

func TestParseHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash")
		for _, s := range []string{
			"sha256:" + hex.EncodeToString(b), "sha256:" + nar.Base32(b), "sha256-" + base64.StdEncoding.EncodeToString(b),
			"sha256:" + base64.StdEncoding.EncodeToString(b), hex.EncodeToString(b),
		} {
			if got, err := nar.ParseHash(s); err != nil || !bytes.Equal(got[:], b) {
				t.Errorf("%s: got %x, %v", s, got, err)
			}
		}
	})
	wrong := []string{"", "sha256:", "sha1:00", "md5-x", strings.Repeat("0", 63), strings.Repeat("e", 52), strings.Repeat("z", 52), strings.Repeat("g", 64)}
	for _, s := range wrong {
		if h, err := nar.ParseHash(s); err == nil {
			t.Errorf("%q: got %x", s, h)
		}
	}
}
