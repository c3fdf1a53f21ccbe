package overlay

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestStoredNames(t *testing.T) {
	long := strings.Repeat("A", 255)
	tests := []struct{ name, stored string }{
		{"plain-name_1.2 (x)", "plain-name_1.2 (x)"},
		{"README", "^r^e^a^d^m^e"},
		{"Foo", "^foo"},
		{"\u00e9", "%c3%a9"},
		{"e\u0301", "e%cc%81"},
		{"\U0001f600", "%f0%9f%98%80"},
		{"\xff", "%ff"},
		{"\xed\xa0\x80", "%ed%a0%80"},
		{"a:b%c^d", "a%3ab%25c%5ed"},
		{"\n\x7f", "%0a%7f"},
		{"漢字", "漢字"},
		{"漢\u3000字", "漢%e3%80%80字"},
		{strings.Repeat("字", 85), strings.Repeat("字", 85)},
		{".nfs0000000000000001", ".nfs0000000000000001"},
		{long, "%~vzj66t5es445656pyh2aoray6553tgya"},
	}
	for _, tt := range tests {
		stored := storedName([]byte(tt.name))
		if string(stored) != tt.stored {
			t.Errorf("%q is stored as %q, want %q", tt.name, stored, tt.stored)
		}
		name, ok := shownName(stored)
		if ok && string(name) != tt.name || ok == isLongName(stored) {
			t.Errorf("%q is shown as %q, %v; want %q", stored, name, ok, tt.name)
		}
	}
}

func TestForeignNames(t *testing.T) {
	for _, stored := range []string{
		"A", "Foo", "é", "%", "%4", "%41", "%C3", "%zz", "%61", "^", "^A", "^1", "^-", "a:b", "\n", "%00", "%2f",
		"%~", "%~names", "%~" + strings.Repeat("a", 31) + "0", "%~" + strings.Repeat("A", 32),
	} {
		if name, ok := shownName([]byte(stored)); ok || isLongName([]byte(stored)) {
			t.Errorf("%q is shown as %q", stored, name)
		}
	}
}

// fold is what the least exact of volumes makes of a name: compatibility forms, every
// case, and nothing of what does not show.
func fold(stored []byte) string {
	seen := norm.NFKD.String(cases.Fold().String(norm.NFKD.String(string(stored))))
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Cc, r) {
			return -1
		}
		return r
	}, seen)
}

// anyName draws names that volumes confuse.
func anyName() *rapid.Generator[[]byte] {
	confusing := rapid.SampledFrom([]string{
		"a", "A", "é", "e\u0301", "É", "ß", "ss", "SS", "ſ", "s", "ı", "i", "I", "İ", "Å", "\u212b", "A\u030a", "한", "\u1112\u1161\u11ab",
		"\u200c", "\u200b", "\ufeff", "σ", "ς", "Σ", "😀", "😁", "\xff", "\xfe", "\xc3", "%", "%41", "^", "^a", "%~", ":", "\n", "字", "ﬁ", "fi",
	})
	return rapid.OneOf(
		rapid.Map(rapid.SliceOfN(confusing, 1, 5), func(s []string) []byte { return []byte(strings.Join(s, "")) }),
		rapid.Map(rapid.StringN(1, -1, 255), func(s string) []byte { return []byte(s) }),
		rapid.SliceOfN(rapid.Byte(), 1, 255),
	).Filter(func(b []byte) bool { return !bytes.ContainsAny(b, "\x00/") })
}

func TestStoredNamesAreTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name, other := anyName().Draw(t, "name"), anyName().Draw(t, "other")
		stored := storedName(name)
		if len(stored) > maxName || string(stored) != norm.NFD.String(string(stored)) || fold(stored) != string(stored) {
			t.Errorf("%q is stored as %q, which a volume changes", name, stored)
		}
		shown, ok := shownName(stored)
		if !ok && !isLongName(stored) || ok && !bytes.Equal(shown, name) {
			t.Errorf("%q is stored as %q and shown as %q", name, stored, shown)
		}
		if !bytes.Equal(name, other) && fold(stored) == fold(storedName(other)) {
			t.Errorf("%q and %q are one to a volume", name, other)
		}
	})
}

func TestInertRunes(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		s := string(r)
		if inert(r) && (fold([]byte(s)) != s || norm.NFC.String(s) != s || norm.NFD.PropertiesString(s).CCC() != 0) {
			t.Errorf("%U is not inert", r)
		}
	}
}

func TestPlainNamesCostNothing(t *testing.T) {
	name := []byte("0a1b2c-hello-2.12.1")
	if n := testing.AllocsPerRun(100, func() { storedName(name); shownName(name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
