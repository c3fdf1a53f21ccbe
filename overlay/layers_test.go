package overlay_test

import (
	"os"
	"strings"
	"testing"
)

// What is wrong with a layer is said, and how to mend it.
func TestLayersHealth(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, lower string)
		want   string // in the second lower's only problem; empty: there is none
	}{
		{"well", func(*testing.T, string) {}, ""},
		{"removed", func(t *testing.T, lower string) { must(t, os.RemoveAll(lower)) }, "was removed"},
		{"renamed away", func(t *testing.T, lower string) { must(t, os.Rename(lower, lower+"-away")) }, "is not at its path any more"},
		{"replaced", func(t *testing.T, lower string) {
			must(t, os.Rename(lower, lower+"-away"))
			mustMkdir(t, lower)
		}, "another directory is at its path now"},
		{"replaced by a link", func(t *testing.T, lower string) {
			must(t, os.Rename(lower, lower+"-away"))
			must(t, os.Symlink(lower+"-away", lower))
		}, "another directory is at its path now"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr, lower := changing(t)
			tr.spoilt = tt.want != ""
			tt.change(t, lower)
			layers := tr.Layers()
			if len(layers) != 3 || layers[0].Kind != "upper" || layers[1].Kind != "lower" || layers[2].Path != lower {
				t.Fatalf("layers are %+v", layers)
			}
			for i, l := range layers {
				want := tt.want
				if i < 2 {
					want = ""
				}
				if got := len(l.Problems); got > 1 || got == 1 && want == "" || got == 0 && want != "" {
					t.Errorf("%s: problems are %q", l.Path, l.Problems)
				}
				if want != "" && len(l.Problems) == 1 && (!strings.HasPrefix(l.Problems[0].What, want) || l.Problems[0].Mend == "") {
					t.Errorf("%s: problem is %q", l.Path, l.Problems[0])
				}
				if l.FileSystem == "" || l.TotalBytes == 0 {
					t.Errorf("%s: %+v", l.Path, l)
				}
			}
			tr.mustRefresh()
		})
	}
}

// A lower that was an upper over others is told apart: what is beneath it is missing.
func TestLayersUpperAsLower(t *testing.T) {
	first := newTree(t, 1).open()
	must(t, first.Close())
	tr := newTree(t, 1)
	tr.options.Lowers = []string{first.options.Upper}
	tr.open()
	if p := tr.Layers()[1].Problems; len(p) != 1 || !strings.Contains(p[0].What, "served as an upper") {
		t.Errorf("problems are %q", p)
	}
}
