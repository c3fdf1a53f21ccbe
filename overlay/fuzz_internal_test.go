package overlay

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// FuzzNames takes anything for a name, a stored name, each of the notes in the work directory
// and the marks. Names and stored names go one to one, and a stored name is one that no volume
// changes. What is taken for a note is written in just that way, so that what is looked for
// under its name is found. Of the files that people may edit, what is read is what is read of
// what is written.
func FuzzNames(f *testing.F) {
	for _, s := range append(noteSeeds(),
		"a", "A", "^a", "^1", "%41", "é", "e\u0301", "%c3%a9", "%2f", "%2e%2e", "%", "^", "漢字", "\xff", "a:b",
		strings.Repeat("A", 128), strings.Repeat("x", 256), "%~vzj66t5es445656pyh2aoray6553tgya", "%~names",
	) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkStored(t, b)
		checkShown(t, b)
		for what, written := range readNote(string(b)) {
			if written != string(b) {
				t.Errorf("%q is taken for a %s, which is written %q", b, what, written)
			}
		}
		if at, err := checkRedirect(string(b)); err == nil && at != "" && !staysInside(at) {
			t.Errorf("redirect %q leads to %q", b, at)
		}
		checkLists(t, b)
	})
}

// checkShown takes b for a stored name.
func checkShown(t *testing.T, b []byte) {
	t.Helper()
	if name, ok := shownName(b); ok && (!bytes.Equal(storedName(name), b) || !canBeShown(name)) {
		t.Errorf("%q is shown as %q, which is stored as %q", b, name, storedName(name))
	}
}

// checkStored takes b for a name.
func checkStored(t *testing.T, b []byte) {
	t.Helper()
	if len(b) == 0 || !canBeShown(b) {
		return
	}
	stored := storedName(b)
	if len(stored) > maxName || fold(stored) != string(stored) || !norm.NFC.IsNormal(stored) {
		t.Errorf("%q is stored as %q, which a volume changes", b, stored)
	}
	shown, ok := shownName(stored)
	if ok == isLongName(stored) || ok && !bytes.Equal(shown, b) {
		t.Errorf("%q is stored as %q and shown as %q", b, stored, shown)
	}
}

// noteSeeds are notes, and what is nearly one.
func noteSeeds() []string {
	id := ID{0xabcdef, 1 << 60}
	silly := sillyNames{run: "0123456789abcdef"}
	return []string{
		indexName(id), strings.ToUpper(indexName(id)), strings.Repeat("+1", 16),
		strings.TrimSuffix(silly.stored(ID{1, 2}, id, []byte(".nfs-x")), "\x00"),
		"run-" + strings.ToUpper(indexName(id)) + "-" + indexName(id) + "-.nfs", "--a-b",
		countNote{id, true, 3, 2}.name(), "count-0x1-1-true-1-2", "count-1-1-1-1-2", modeNote{7, 0o700, 0o755}.name(), "mode-7-0700-755",
		strings.TrimSuffix(hiddenName(id, 3), "\x00"), indexName(id) + "-+3", indexName(id) + "-03", strings.ToUpper(indexName(id)) + "-3",
		string((&intent{id, ID{1, 2}, "/a/b", "/c"}).encode()), "0x1 1 1 1\x00/a\x00/b\x00", "1 1 1 1 1\x00/a\x00/b\x00", "+1 01 1  1\x00/a\x00/b\x00",
		string(encodeOrigin(id)), "/a/b", "name", "../x", "/a//b", "a/b", "/", "",
		string(encodeLowers([]string{"/a\n", "/\xff", "`b`"})), "`/a`\n'b'\n \"c\" \n", string(upperNote{id, "/a b\n"}.encode()),
		"1 \"/a\"\n2 \"/b\"\n+3 \"/c\"\n0x4 `/d`\n200 \"/e\"\n1 \"/a\" more\n",
	}
}

// readNote gives all that a text is taken for, as we would write it.
func readNote(s string) map[string]string {
	as := map[string]string{}
	if id, ok := parseIndexName(s); ok {
		as["name in the index"] = indexName(id)
	}
	if run, name, id, ok := parseSilly(s); ok {
		as["silly name"] = strings.TrimSuffix((&sillyNames{run: run}).stored(name.dir, id, []byte(name.name)), "\x00")
	}
	if m, ok := parseCountNote(s); ok {
		as["count"] = m.name()
	}
	if m, ok := parseModeNote(s); ok {
		as["mode"] = m.name()
	}
	var h hiddenNames
	h.load(s)
	for id, n := range h.m {
		as["hidden name"] = strings.TrimSuffix(hiddenName(id, n), "\x00")
	}
	if i, ok := decodeIntent([]byte(s)); ok {
		as["intent"] = string(i.encode())
	}
	if id, ok := decodeOrigin([]byte(s)); ok {
		as["origin"] = string(encodeOrigin(id))
	}
	return as
}

// staysInside reports whether a redirect is a path of names, or a name.
func staysInside(at string) bool {
	names := strings.Split(strings.TrimPrefix(at, "/"), "/")
	return (absolute(at) || len(names) == 1) && !slices.ContainsFunc(names, func(name string) bool {
		return name == "" || name == "." || name == ".." || strings.Contains(name, "\x00")
	})
}

// checkLists reads the files of the work directory that hold lists.
func checkLists(t *testing.T, b []byte) {
	t.Helper()
	lines := bytes.Count(b, []byte("\n")) + 1
	s, lowers, upper := decodeSpaces(b), decodeLowers(b), decodeUpperNote(b)
	if len(s) > lines || len(lowers) > lines {
		t.Errorf("%q is read as %v, %q", b, s, lowers)
	}
	s2, lowers2, upper2 := decodeSpaces(s.encode()), decodeLowers(encodeLowers(lowers)), decodeUpperNote(upper.encode())
	if !maps.Equal(s, s2) || !slices.Equal(lowers, lowers2) || upper != upper2 {
		t.Errorf("%v, %q, %v are read again as %v, %q, %v", s, lowers, upper, s2, lowers2, upper2)
	}
}
