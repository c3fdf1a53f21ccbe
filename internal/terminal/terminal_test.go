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

func TestPlainText(t *testing.T) {
	for text, want := range map[string]string{
		"größe 日本\n\ttwo": "größe 日本\n\ttwo",
		"\x1b]0;title\a":  "?]0;title?",
		"\x9b2J\u009b2J":  "?2J?2J",
		"a\rb\x7f\u202ec": "a?b??c",
		"no\u00a0break":   "no\u00a0break",
	} {
		if got := PlainText(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
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
