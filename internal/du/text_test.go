package du

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files")

func exampleUsage() *Usage {
	const hash = "0c91b1xpvnsgz7bmqsmlvl3b4k3y9m6g-"
	return &Usage{
		Entries: []Entry{
			{"store/" + hash + "linux-6.6.1-modules-and-more-than-one-line-of-eighty-columns-can-hold-at-all", []uint64{3000 * k, 1000 * k, 0}},
			{"store/" + hash + "große-日本語-パッケージ-日本語-パッケージ-日本語-パッケージ-1.0", []uint64{0, 1000 * k, 1000 * k}},
			{"store/" + hash + "👩‍👩‍👧-e\u0301\u0301\u0301", []uint64{0, 0, 500 * k}},
			{"store/control\x1b[31m\n\xff", []uint64{100 * k, 0, 0}},
			{".", []uint64{8 * k, 8 * k, 8 * k}},
			{"var", []uint64{8, 0, 0}},
			{"home", []uint64{4, 0, 0}},
		},
		Shared: []uint64{70 * k, 0, 0},
		Names:  []uint64{123456, 78, 9},
		Unread: []string{"/home/you/.local/share/nixnfsd/upper/store/secret"},
		More:   2,
	}
}

func TestText(t *testing.T) {
	for _, width := range []int{0, 20, 80, 200} {
		table := Table{
			Path: "/nix", Kinds: []string{"upper", "lower", "lower"}, Top: 5, Width: width,
			Layers: []string{"/home/you/.local/share/nixnfsd/upper", "/srv/shared/nix", "/srv/a-directory-with-a-name-that-is-too-long-for-a-line-of-eighty-columns/nix"},
		}
		got := table.Text(exampleUsage())
		for line := range strings.Lines(got) {
			if n := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); width >= 80 && n > width {
				t.Errorf("%d columns, and %d are in: %s", width, n, line)
			}
		}
		testenv.Golden(t, filepath.Join("testdata", fmt.Sprintf("%d.txt", width)), got, *update)
	}
}

// TestPlain has nothing of a path reach the terminal that it would obey.
func TestPlain(t *testing.T) {
	table := Table{Path: "/nix/store/\x1b[31m\nred"}
	if got, _, _ := strings.Cut(table.Text(&Usage{}), ":"); got != "/nix/store/?[31m?red" {
		t.Errorf("got %q", got)
	}
}

// TestShorten keeps to the width, whatever the name, and leaves what fits.
func TestShorten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		width := rapid.IntRange(1, 30).Draw(t, "width")
		got := shorten(name, width)
		if uniseg.StringWidth(got) > width {
			t.Fatalf("%q takes %d columns of %d", got, uniseg.StringWidth(got), width)
		}
		if uniseg.StringWidth(name) <= width && got != name {
			t.Fatalf("got %q, and %q fits", got, name)
		}
	})
}

// TestBar never gets longer than it may, and is full for the largest.
func TestBar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := rapid.SliceOfN(rapid.Uint64Range(0, 1<<50), 1, 9).Draw(t, "bytes")
		width := rapid.IntRange(1, 60).Draw(t, "width")
		if got := uniseg.StringWidth(bar(bytes, Sum(bytes), width)); Sum(bytes) > 0 && got != width || got > width {
			t.Fatalf("%d columns of %d", got, width)
		}
		if got := uniseg.StringWidth(bar(bytes, 2*Sum(bytes)+1, width)); got > width/2+1 {
			t.Fatalf("half of it: %d columns of %d", got, width)
		}
	})
}
