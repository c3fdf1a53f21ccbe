package mount

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLayout writes every path beneath one directory, whose name is {}.
func TestLayout(t *testing.T) {
	tt := []struct {
		name   string
		layout Layout
		want   string // in the error; empty: none
	}{
		{"apart", Layout{"{}/nix", "{}/upper", []string{"{}/a", "{}/b"}, "{}/work", "{}/state"}, ""},
		{"not there yet", Layout{"{}/nix", "{}/new/upper", nil, "{}/new/work", "{}/new/state"}, ""},
		{"names that only begin alike", Layout{"{}/nix", "{}/nix2", []string{"{}/a"}, "{}/nix2.work", "{}/state"}, ""},
		{"state around the rest", Layout{"{}/nix", "{}/s/upper", nil, "{}/s/work", "{}/s"}, ""},
		{"mount point in the upper", Layout{"{}/upper/nix", "{}/upper", nil, "{}/work", "{}/state"}, "mount point {}/upper/nix lies inside --upper {}/upper: the server would wait for itself"},
		{"mount point is the upper", Layout{"{}/upper", "{}/upper", nil, "{}/work", "{}/state"}, "--upper {}/upper leads into the mount point {}/upper"},
		{"mount point in a lower", Layout{"{}/a/nix", "{}/upper", []string{"{}/a"}, "{}/work", "{}/state"}, "lies inside --lower {}/a"},
		{"root as lower", Layout{"{}/nix", "{}/upper", []string{"/"}, "{}/work", "{}/state"}, "lies inside --lower /"},
		{"upper in the mount point", Layout{"{}/nix", "{}/nix/upper", nil, "{}/work", "{}/state"}, "--upper {}/nix/upper leads into the mount point {}/nix"},
		{"state in the mount point", Layout{"{}/nix", "{}/upper", nil, "{}/work", "{}/nix/s"}, "--state {}/nix/s leads into the mount point"},
		{"over a link into the mount point", Layout{"{}/nix", "{}/tonix/x", nil, "{}/work", "{}/state"}, "--upper {}/tonix/x leads into the mount point"},
		{"mount point over a link", Layout{"{}/toa/nix", "{}/upper", []string{"{}/a"}, "{}/work", "{}/state"}, "mount point {}/a/nix lies inside --lower {}/a"},
		{"lower in upper", Layout{"{}/nix", "{}/upper", []string{"{}/upper/x"}, "{}/work", "{}/state"}, "--lower {}/upper/x lies inside --upper {}/upper"},
		{"upper in lower, over a link", Layout{"{}/nix", "{}/toa/b/c", []string{"{}/a"}, "{}/work", "{}/state"}, "--upper {}/a/b/c lies inside --lower {}/a"},
		{"the same twice", Layout{"{}/nix", "{}/a", []string{"{}/a"}, "{}/work", "{}/state"}, "--lower {}/a lies inside --upper {}/a"},
		{"lowers inside one another", Layout{"{}/nix", "{}/upper", []string{"{}/a/sub", "{}/a"}, "{}/work", "{}/state"}, "--lower {}/a/sub lies inside --lower {}/a"},
		{"work in upper", Layout{"{}/nix", "{}/upper", nil, "{}/upper/work", "{}/state"}, "--work {}/upper/work lies inside --upper"},
		{"upper in work", Layout{"{}/nix", "{}/w/upper", nil, "{}/w", "{}/state"}, "--upper {}/w/upper lies inside --work"},
		{"key in upper", Layout{"{}/nix", "{}/upper", nil, "{}/work", "{}/upper/state"}, "--state {}/upper/state lies inside --upper"},
		{"lower missing", Layout{"{}/nix", "{}/upper", []string{"{}/none"}, "{}/work", "{}/state"}, "--lower {}/none is not there"},
		{"lower a file", Layout{"{}/nix", "{}/upper", []string{"{}/file"}, "{}/work", "{}/state"}, "--lower {}/file is no directory"},
		{"work of an earlier server", Layout{"{}/nix", "{}/upper", nil, "{}/used", "{}/state"}, ""},
		{"links in a circle", Layout{"{}/nix", "{}/loop", nil, "{}/work", "{}/state"}, "too many levels of symbolic links"},
		{"through a file", Layout{"{}/nix", "{}/file/upper", nil, "{}/work", "{}/state"}, "not a directory"},
	}
	dir := tree(t)
	for _, tc := range tt {
		l, want := place(tc.layout, dir), strings.ReplaceAll(tc.want, "{}", dir)
		_, err := l.Resolve()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got error %v, want %q", tc.name, err, want)
		}
	}
}

func TestLayoutFollowsLinks(t *testing.T) {
	dir := tree(t)
	got, err := place(Layout{"{}/nix", "{}/toa/u", []string{"{}/tob/../b"}, "{}/toa/../w", "{}/state"}, dir).Resolve()
	want := place(Layout{"{}/nix", "{}/a/u", []string{"{}/b"}, "{}/w", "{}/state"}, dir)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, difference:\n%s", err, diff)
	}
}

func tree(t *testing.T) string {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/sub", "b", "used/index", "used/t1"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"toa": "a", "tob": dir + "/b", "tonix": "./nix", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func place(l Layout, dir string) Layout {
	in := func(s string) string { return strings.ReplaceAll(s, "{}", dir) }
	l.MountPoint, l.Upper, l.Work, l.State = in(l.MountPoint), in(l.Upper), in(l.Work), in(l.State)
	var lowers []string
	for _, lower := range l.Lowers {
		lowers = append(lowers, in(lower))
	}
	l.Lowers = lowers
	return l
}
