package synthetic

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParse(t *testing.T) {
	tt := []struct {
		name, text string
		want       []Entry
		bad        []int // lines
	}{
		{name: "nothing", text: ""},
		{name: "comments and blank lines", text: "# nix\n\n#nix\tx\n"},
		{name: "a directory", text: "nix\n", want: []Entry{{Line: 1, Name: "nix"}}},
		{name: "no newline at the end", text: "nix", want: []Entry{{Line: 1, Name: "nix"}}},
		{name: "a link", text: "#\nrun\tprivate/var/run\n", want: []Entry{{Line: 2, Name: "run", Target: "private/var/run"}}},
		{name: "a target with a space", text: "a\tUsers/me/my things\n", want: []Entry{{Line: 1, Name: "a", Target: "Users/me/my things"}}},
		{name: "names of more than ASCII", text: "größe\n", want: []Entry{{Line: 1, Name: "größe"}}},
		{name: "spaces for a tab", text: "nix    System/Volumes/Data/nix\n", bad: []int{1}},
		{name: "a space behind", text: "nix \n", bad: []int{1}},
		{name: "a space before", text: " nix\n", bad: []int{1}},
		{name: "a tab before", text: "\tnix\n", bad: []int{1}},
		{name: "a tab and nothing", text: "nix\t\n", bad: []int{1}},
		{name: "three columns", text: "nix\ta\tb\n", bad: []int{1}},
		{name: "a slash", text: "/nix\nopt/x\n", bad: []int{1, 2}},
		{name: "the root and above", text: ".\n..\n", bad: []int{1, 2}},
		{name: "lines of DOS", text: "nix\r\nrun\tx\r\n", bad: []int{1, 2}},
		{name: "NUL and DEL", text: "n\x00x\nn\x7fx\n", bad: []int{1, 2}},
		{name: "good beside bad", text: "a b\nnix\n", want: []Entry{{Line: 2, Name: "nix"}}, bad: []int{1}},
	}
	for _, tc := range tt {
		got, bad := Parse([]byte(tc.text))
		var lines []int
		for _, e := range bad {
			lines = append(lines, e.Line)
		}
		if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: entries:\n%s", tc.name, diff)
		}
		if diff := cmp.Diff(tc.bad, lines, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: bad lines:\n%s", tc.name, diff)
		}
	}
}

func TestParseRelease(t *testing.T) {
	tt := []struct {
		text  string
		want  Release
		dir   bool
		wrong bool
	}{
		{text: "10.15.7", want: Release{10, 15}},
		{text: "10.16", want: Release{10, 16}, dir: true}, // macOS 11, to programs that do not know it
		{text: "11.0\n", want: Release{11, 0}, dir: true},
		{text: "14.6.1", want: Release{14, 6}, dir: true},
		{text: "26", want: Release{26, 0}, dir: true},
		{text: "", wrong: true},
		{text: "Sonoma", wrong: true},
		{text: "-1.2", wrong: true},
		{text: "11.x", wrong: true},
	}
	for _, tc := range tt {
		got, err := ParseRelease(tc.text)
		if got != tc.want || got.ReadsDir() != tc.dir || (err != nil) != tc.wrong {
			t.Errorf("%q: got %v, %v, reads the folder: %v", tc.text, got, err, got.ReadsDir())
		}
	}
}
