package layers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/overlay"
)

func TestCount(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	err := errors.Join(
		os.MkdirAll(at("a"), 0o755), os.MkdirAll(at("b/c"), 0o755),
		os.WriteFile(at("a/f"), make([]byte, 10_000), 0o644), os.Link(at("a/f"), at("a/g")), os.Symlink("/", at("link")))
	if err != nil {
		t.Fatal(err)
	}
	r := New([]overlay.Layer{{Path: dir}, {Path: at("none")}}, nil)
	r.Count(t.Context())
	u := r.Layers[0].Usage
	if u == nil || u.Names != 6 || u.Bytes < 10_000 || u.Bytes > 100_000 || !u.Complete {
		t.Errorf("got %+v, want 6 names", u)
	}
	if u := r.Layers[1].Usage; u != nil {
		t.Errorf("a directory that is not there holds %+v", u)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if r.Count(ended); r.Layers[0].Usage == nil || r.Layers[0].Usage.Complete || r.Layers[0].Usage.Names > 0 {
		t.Errorf("when it has to end at once: %+v", r.Layers[0].Usage)
	}
}

func TestText(t *testing.T) {
	well := Layer{Layer: overlay.Layer{Kind: "upper", Path: "/up", FileSystem: "ext4", AvailBytes: 1 << 30, TotalBytes: 2 << 30}, Usage: &Usage{3, 4096, true}}
	bad := Layer{Layer: overlay.Layer{Kind: "lower", Path: "/low", FileSystem: "xfs", AvailBytes: 5 << 20, TotalBytes: 6 << 20, Problems: []overlay.LayerProblem{{What: "is not there", Mend: "put it back"}}}}
	part := Layer{Layer: overlay.Layer{Kind: "lower", Path: "/more", FileSystem: "xfs"}, Usage: &Usage{7, 1 << 20, false}}
	tt := []struct {
		name     string
		r        Report
		problems bool
		want     string
	}{
		{"well", Report{Layers: []Layer{well}}, false, "upper /up\n  file system: ext4, 1.0 GiB of 2.0 GiB free\n  holds: 3 names, 4.0 KiB\n"},
		{"a problem", Report{Layers: []Layer{bad}}, true, "lower /low\n  file system: xfs, 5.0 MiB of 6.0 MiB free\n  problem: is not there\n     mend: put it back\n"},
		{"too much", Report{Layers: []Layer{part}}, false, "lower /more\n  file system: xfs, 0 bytes of 0 bytes free\n  holds: at least 7 names, 1.0 MiB: not all could be counted in 2s\n"},
		{
			"refreshed",
			Report{Layers: []Layer{well, bad}, Refreshed: &overlay.Refreshed{Changed: []string{"a"}, More: 2, Directories: 9}},
			true,
			"refreshed: 3 of 9 known directories changed\nlower /low\n  problem: is not there\n     mend: put it back\n",
		},
	}
	for _, tc := range tt {
		if diff := cmp.Diff(tc.want, tc.r.Text()); diff != "" {
			t.Errorf("%s:\n%s", tc.name, diff)
		}
		if tc.r.Problems() != tc.problems {
			t.Errorf("%s: problems are %v", tc.name, tc.r.Problems())
		}
	}
}
