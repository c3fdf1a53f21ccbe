package overlay_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
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

func TestCountUsage(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, dir+"/a/f", strings.Repeat("x", 10_000))
	must(t, os.Link(dir+"/a/f", dir+"/a/g"))
	must(t, os.Symlink("/", dir+"/link"))
	mustMkdir(t, dir+"/b/c")
	got, err := overlay.CountUsage(t.Context(), dir)
	if err != nil || got.Names != 6 || got.Bytes < 10_000 || got.Bytes > 100_000 || !got.Complete {
		t.Errorf("got %+v, %v, want 6 names", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := overlay.CountUsage(ended, dir); err != nil || got.Complete || got.Names > 0 {
		t.Errorf("when it has to end at once: %+v, %v", got, err)
	}
	if _, err := overlay.CountUsage(t.Context(), filepath.Join(dir, "none")); err == nil {
		t.Error("a directory that is not there was counted")
	}
}
