package synthetic

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// manifests draws what people have in such files, nil among it.
func manifests(t *rapid.T) []byte {
	line := rapid.SampledFrom([]string{"", "nix", "nix ", "#nix", "run\tprivate/var/run", "x y", "\r", "nix\r", "a\tb\tc"})
	lines := rapid.SliceOf(line).Draw(t, "lines")
	if len(lines) == 0 && rapid.Bool().Draw(t, "absent") {
		return nil
	}
	text := strings.Join(lines, "\n")
	if rapid.Bool().Draw(t, "ends with a newline") {
		text += "\n"
	}
	return []byte(text)
}

func TestAddAndUndo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := manifests(t)
		after := Add(before, "nix")
		if !bytes.HasPrefix(after, before) {
			t.Fatalf("other lines were touched: %q", after)
		}
		if entries, _ := Parse(after); len(entries) == 0 || entries[len(entries)-1].Name != "nix" {
			t.Fatalf("there is no entry in %q", after)
		}
		got := Undo(before, after, "nix")
		if !bytes.Equal(got, before) || (got == nil) != (before == nil) {
			t.Fatalf("undone to %q, was %q", got, before)
		}
	})
}

func TestUndoAmongOthersChanges(t *testing.T) {
	tt := []struct{ name, before, now, want string }{
		{"a line behind ours", "run\tx\n", "run\tx\nnix\nopt\n", "run\tx\nopt\n"},
		{"a line before ours", "", "opt\nnix\n", "opt\n"},
		{"ours is gone", "run\tx\n", "run\tx\n", "run\tx\n"},
		{"a comment that names it", "", "# nix\nnix\n#", "# nix\n#"},
		{"no newline before ours", "run\tx", "run\tx\nnix\nopt\n", "run\tx\nopt\n"},
		{"another's link of the name", "", "nix\tx\n", "nix\tx\n"},
	}
	for _, tc := range tt {
		if got := Undo([]byte(tc.before), []byte(tc.now), "nix"); string(got) != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
	if got := Undo(nil, []byte("nix\n"), "nix"); got != nil {
		t.Errorf("a file that was not there stays as %q", got)
	}
	if got := Undo(nil, []byte("opt\nnix\n"), "nix"); string(got) != "opt\n" {
		t.Errorf("a file of others' is left as %q", got)
	}
}
