//go:build linux

package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// confusedNames are names that HFS+, or its driver, takes for one another or does not keep.
var confusedNames = []string{
	"foo", "Foo", "FOO", "\u00e9", "e\u0301", "\u00c9", "E\u0301", "\u212b", "\u00c5", "A\u030a", "\ud55c", "\u1112\u1161\u11ab",
	"\u03c3", "\u03a3", "\u01c5", "\u01c6", "\u00df", "ss", "a\u200cb", "ab", "\U0001f600", "\U0001f601", "????",
	"\xff", "\xfe", "\xc3", "a:b", "a%2fb", "\n", "%", "^foo", "漢字",
	strings.Repeat("N", 255), strings.Repeat("n", 255), strings.Repeat("\u00e9", 127), strings.Repeat("e\u0301", 85),
}

// TestExactNames makes, links, renames, lists and removes names that a volume confuses,
// and sees them over a restart of the server. What is behind the mount is HFS+ in one run.
func TestExactNames(t *testing.T) {
	Mount(t)
	dir := Dir(t)
	want := slices.Sorted(slices.Values(confusedNames))
	for _, name := range confusedNames {
		try(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
	}
	sameNames(t, dir, want)
	Control(t, "restart")
	sameNames(t, dir, want)
	for _, name := range confusedNames {
		sameBytes(t, filepath.Join(dir, name), name)
	}
	t.Run("rename", func(t *testing.T) { renameConfused(t, dir) })
	t.Run("link", func(t *testing.T) { linkConfused(t, dir) })
	t.Run("directories", func(t *testing.T) { confusedDirectories(t, Dir(t)) })
	if onHFSPlus() {
		checkBehind(t, filepath.Join(Export(t), filepath.Base(dir)))
	}
	for i, name := range want {
		try(t, os.Remove(filepath.Join(dir, name)))
		if i%7 == 0 {
			sameNames(t, dir, want[i+1:])
		}
	}
}

func sameNames(t *testing.T, dir string, want []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	try(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s holds\n%q, want\n%q", dir, got, want)
	}
}

func sameBytes(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%q holds %q, want %q; error %v", path, got, want, err)
	}
}

// renameConfused moves each file out of the way, the next into its place and so on, until
// each has its neighbour's name, and back.
func renameConfused(t *testing.T, dir string) {
	path := func(i int) string { return filepath.Join(dir, confusedNames[i%len(confusedNames)]) }
	away := filepath.Join(filepath.Dir(dir), "away")
	n := len(confusedNames)
	try(t, os.Rename(path(0), away))
	for i := 1; i < n; i++ {
		try(t, os.Rename(path(i), path(i-1)))
	}
	try(t, os.Rename(away, path(n-1)))
	for i := range n {
		sameBytes(t, path(i), confusedNames[(i+1)%n])
	}
	try(t, os.Rename(path(n-1), away))
	for i := n - 1; i > 0; i-- {
		try(t, os.Rename(path(i-1), path(i)))
	}
	try(t, os.Rename(away, path(0)))
	for i := range n {
		sameBytes(t, path(i), confusedNames[i])
	}
}

// linkConfused gives one file all the names.
func linkConfused(t *testing.T, dir string) {
	sub := filepath.Join(dir, "sub")
	try(t, os.Mkdir(sub, 0o755))
	for _, name := range confusedNames {
		try(t, os.Link(filepath.Join(dir, confusedNames[0]), filepath.Join(sub, name)))
	}
	sameNames(t, sub, slices.Sorted(slices.Values(confusedNames)))
	e, err := readEntry(filepath.Join(dir, confusedNames[0]))
	try(t, err)
	if want := uint64(len(confusedNames) + 1); e.Nlink != want {
		t.Errorf("got %d links, want %d", e.Nlink, want)
	}
	try(t, os.RemoveAll(sub))
}

// confusedDirectories makes directories and symbolic links of the names, one in another.
func confusedDirectories(t *testing.T, dir string) {
	for i, name := range confusedNames {
		sub := filepath.Join(dir, name)
		try(t, os.Mkdir(sub, 0o755))
		next := confusedNames[(i+1)%len(confusedNames)]
		try(t, os.Symlink(name, filepath.Join(sub, next)))
	}
	for i, name := range confusedNames {
		next := confusedNames[(i+1)%len(confusedNames)]
		sameNames(t, filepath.Join(dir, name), []string{next})
		if got, err := os.Readlink(filepath.Join(dir, name, next)); got != name {
			t.Errorf("got %q, want %q; error %v", got, name, err)
		}
	}
}

// checkBehind checks that the volume holds nothing that it could confuse. Its driver
// lists what is on it decomposed and composed again.
func checkBehind(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	try(t, err)
	for _, e := range entries {
		if strings.ContainsFunc(e.Name(), func(r rune) bool { return unicode.IsUpper(r) || r > unicode.MaxASCII && !unicode.Is(unicode.Han, r) }) {
			t.Errorf("%q is behind the mount", e.Name())
		}
	}
}

// TestNarHashes compares the hashes of a tree's archive (NAR) from the mount and from ext4:
// with names that differ in case or in normal form only.
func TestNarHashes(t *testing.T) {
	Mount(t)
	_, err := exec.LookPath("nix-hash")
	testenv.Require(t, err == nil, "Nix is not installed")
	u := newNixUser(t, -1)
	var hashes, dumps []string
	for _, dir := range []string{Plain(t), Dir(t)} {
		tree := filepath.Join(dir, "tree")
		confusedTree(t, tree, 2)
		hashes = append(hashes, u.run(t, "nix-hash", "--type", "sha256", tree))
		dumps = append(dumps, u.run(t, "sh", "-c", "nix-store --dump "+tree+" | sha256sum"))
	}
	if hashes[0] != hashes[1] || dumps[0] != dumps[1] {
		t.Errorf("ext4 gives %s and %s, the mount %s and %s", hashes[0], dumps[0], hashes[1], dumps[1])
	}
	t.Logf("NAR hash %s", hashes[1])
}

// confusedTree makes files, links and directories of the confused names.
func confusedTree(t *testing.T, dir string, depth int) {
	t.Helper()
	try(t, os.Mkdir(dir, 0o755))
	for i, name := range confusedNames {
		path := filepath.Join(dir, name)
		switch {
		case i%3 == 1 && depth > 1:
			confusedTree(t, path, depth-1)
		case i%3 == 2:
			try(t, os.Symlink(name, path))
		default:
			try(t, os.WriteFile(path, fmt.Appendf(nil, "%s at %d", name, i), 0o644))
		}
	}
}
