package synthetic

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecide(t *testing.T) {
	conf := func(text string) []Manifest { return []Manifest{{Path: Conf, Text: []byte(text), Mode: 0o600}} }
	catalina, bigSur := Release{10, 15}, Release{11, 0}
	tt := []struct {
		name    string
		release Release
		seen    []Manifest
		want    *Change
		err     string
	}{
		{name: "Catalina, no file", release: catalina, seen: []Manifest{{Path: Conf}}, want: &Change{Path: Conf, After: []byte("nix\n"), Mode: 0o644}},
		{name: "Catalina, a file", release: catalina, seen: conf("run\tx"), want: &Change{Path: Conf, Before: []byte("run\tx"), After: []byte("run\tx\nnix\n"), Mode: 0o600}},
		{name: "Catalina, a file of somebody's", release: catalina, seen: []Manifest{{Path: Conf, Text: []byte("run\tx\n"), Foreign: "a symbolic link to /etc/static/synthetic.conf"}}, err: "is a symbolic link to /etc/static/synthetic.conf: have whoever manages it"},
		{name: "Catalina, an immutable file", release: catalina, seen: []Manifest{{Path: Conf, Text: []byte(""), Foreign: "immutable"}}, err: "is immutable"},
		{name: "a file of its own", release: bigSur, seen: conf("run\tx\n"), want: &Change{Path: "/etc/synthetic.d/nixnfsd", After: []byte("nix\n"), Mode: 0o644}},
		{name: "the other file is somebody's", release: bigSur, seen: []Manifest{{Path: Conf, Foreign: "immutable"}}, want: &Change{Path: "/etc/synthetic.d/nixnfsd", After: []byte("nix\n"), Mode: 0o644}},
		{name: "our file is somebody's", release: bigSur, seen: []Manifest{{Path: "/etc/synthetic.d/nixnfsd", Foreign: "no regular file"}}, err: "/etc/synthetic.d/nixnfsd is no regular file"},
		{name: "our file lists another", release: bigSur, seen: []Manifest{{Path: "/etc/synthetic.d/nixnfsd", Text: []byte("nix2\n"), Mode: 0o640}}, want: &Change{Path: "/etc/synthetic.d/nixnfsd", Before: []byte("nix2\n"), After: []byte("nix2\nnix\n"), Mode: 0o640}},
		{name: "listed", release: bigSur, seen: conf("nix\n")},
		{name: "listed in another's file", release: bigSur, seen: []Manifest{{Path: "/etc/synthetic.d/other", Text: []byte("nix\n")}}},
		{name: "a link", release: bigSur, seen: conf("#\nnix\tSystem/Volumes/Data/nix\n"), err: "/etc/synthetic.conf, line 2 makes /nix a symbolic link to System/Volumes/Data/nix"},
		{name: "a link beside a directory", release: bigSur, seen: append(conf("nix\n"), Manifest{Path: "/etc/synthetic.d/other", Text: []byte("nix\tx\n")}), err: "/etc/synthetic.d/other, line 1"},
		{name: "a space for a tab", release: bigSur, seen: conf("nix System/Volumes/Data/nix\n"), err: `line 1, "nix System/Volumes/Data/nix": a space`},
		{name: "a slash", release: bigSur, seen: conf("/nix\n"), err: "a slash"},
		{name: "another's bad line", release: bigSur, seen: conf("opt x\n"), want: &Change{Path: "/etc/synthetic.d/nixnfsd", After: []byte("nix\n"), Mode: 0o644}},
	}
	for _, tc := range tt {
		got, err := Decide(tc.release, "nix", "nixnfsd", tc.seen)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: got error %v, want %q", tc.name, err, tc.err)
		}
	}
}

func TestLook(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, Dir)
	if err := os.MkdirAll(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere/synthetic.conf", filepath.Join(root, Conf)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o640); err != nil {
		t.Fatal(err)
	}
	got, err := Look(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []Manifest{
		{Path: Conf, Foreign: "a symbolic link to /nowhere/synthetic.conf"},
		{Path: Dir + "/empty", Text: []byte{}, Mode: 0o640},
		{Path: Dir + "/folder", Foreign: "no regular file"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	bare, err := Look(t.TempDir())
	if diff := cmp.Diff([]Manifest{{Path: Conf}}, bare); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestLookAtTooMuch(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, Conf), make([]byte, maxManifest+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(root); err == nil {
		t.Error("a manifest of a mebibyte was read")
	}
}

func TestOwed(t *testing.T) {
	tt := []struct {
		listed, there bool
		want          Restart
	}{{true, true, NoRestart}, {false, false, NoRestart}, {true, false, RestartMakes}, {false, true, RestartRemoves}}
	for _, tc := range tt {
		if got := Owed(tc.listed, tc.there); got != tc.want {
			t.Errorf("listed %v, there %v: got %q, want %q", tc.listed, tc.there, got, tc.want)
		}
	}
}
