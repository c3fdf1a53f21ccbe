package nixtarball_test

import (
	"io/fs"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/integration/nixtarball"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// TestLayout holds what tar says of a tarball beside what it says of an official one.
func TestLayout(t *testing.T) {
	_, err := exec.LookPath("xz")
	testenv.Require(t, err == nil, "xz is not installed")
	one := nixtarball.Path{Base: nixtarball.Base("one"), Entries: []nixtarball.Entry{
		{Name: "bin/program", Mode: 0o111, Content: "#!/bin/sh\n"},
		{Name: "bin/link", Mode: fs.ModeSymlink, Content: "program"},
		{Name: "share/file", Content: "text"},
	}}
	two := nixtarball.Path{Base: nixtarball.Base("two"), References: []string{one.Base}, Entries: []nixtarball.Entry{{Content: "file"}}}
	ball := &nixtarball.Tarball{Version: "2.0", System: "x86_64-linux", Paths: []nixtarball.Path{one, two}, Nix: one.Base, CACert: two.Base}
	file, err := ball.File(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const store = "nix-2.0-x86_64-linux/store/"
	names := []string{
		"install", "create-darwin-volume.sh", "install-darwin-multi-user.sh", "install-systemd-multi-user.sh", "install-multi-user", ".reginfo",
	}
	var want []string
	for _, name := range names {
		mode := "-rwxr-xr-x "
		if name == ".reginfo" {
			mode = "-rw-r--r-- "
		}
		want = append(want, mode+"nix-2.0-x86_64-linux/"+name)
	}
	want = append(want, "drwxr-xr-x "+store+one.Base+"/", "drwxr-xr-x "+store+one.Base+"/bin/", "-rwxr-xr-x "+store+one.Base+"/bin/program",
		"lrwxrwxrwx "+store+one.Base+"/bin/link", "drwxr-xr-x "+store+one.Base+"/share/", "-rw-r--r-- "+store+one.Base+"/share/file",
		"-rw-r--r-- "+store+two.Base)
	if d := cmp.Diff(want, list(t, file)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	registration, err := ball.Registration()
	if err != nil {
		t.Fatal(err)
	}
	const hash = "6da21b1d5ff2f5f1e2885184078794f09089a565a0d708471e043e5e33fa9e4d" // as nix-hash of Nix 2.8 says
	end := "\n/nix/store/" + two.Base + "\nsha256:" + hash + "\n120\n\n1\n/nix/store/" + one.Base + "\n"
	if !strings.HasSuffix(registration, end) {
		t.Errorf("the registration is %q, want it to end with %q", registration, end)
	}
}

// list gives the modes and names of what is in a tarball.
func list(t *testing.T, file string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "tar", "--list", "--verbose", "--xz", "--file", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		const mode, name = 0, 5
		words := strings.Fields(line)
		lines = append(lines, words[mode]+" "+words[name])
	}
	return lines
}
