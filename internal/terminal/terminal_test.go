package terminal

import (
	"bytes"
	"testing"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"
)

func TestPlainAndCut(t *testing.T) {
	for _, tt := range []struct {
		line    string
		columns int
		want    string
	}{
		{"abc", 3, "abc"},
		{"abc", 2, "ab"},
		{"abc", 0, ""},
		{"層層", 3, "層"},
		{"e\u0301e", 1, "e\u0301"},
		{"\x1b[2J\r\n\x00\xff", 9, "?[2J????"},
		{"\u202e", 9, "?"},
	} {
		if got := Cut(Plain(tt.line), tt.columns); got != tt.want {
			t.Errorf("%q in %d: got %q", tt.line, tt.columns, got)
		}
	}
}

// TestCut keeps to the columns, whatever the text, and leaves what fits.
func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		columns := rapid.IntRange(0, 30).Draw(t, "columns")
		got := Cut(s, columns)
		if uniseg.StringWidth(got) > columns {
			t.Fatalf("%q takes %d columns of %d", got, uniseg.StringWidth(got), columns)
		}
		if uniseg.StringWidth(s) <= columns && got != s {
			t.Fatalf("got %q, and %q fits", got, s)
		}
	})
}

func TestColumns(t *testing.T) {
	if got := Columns(new(bytes.Buffer)); got != 0 {
		t.Errorf("a buffer has %d", got)
	}
}
