//go:build linux

package guest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An entry is what a tree holds under one name.
type entry struct {
	Mode  fs.FileMode
	Size  int64
	Sum   string // SHA-256 of a regular file, target of a symlink
	Mtime time.Time
	Ino   uint64
	Nlink uint64
}

// A tree maps names relative to its root ("." for the root) to entries.
type tree map[string]entry

// readTree reads everything under root, contents too.
func readTree(t *testing.T, root string) tree {
	t.Helper()
	got := tree{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		got[name], err = readEntry(path)
		return err
	})
	if err != nil {
		t.Fatalf("read tree %s: %v", root, err)
	}
	return got
}

func readEntry(path string) (entry, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return entry{}, err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return entry{}, fmt.Errorf("lstat %s: no stat", path)
	}
	e := entry{Mode: fi.Mode(), Size: fi.Size(), Mtime: fi.ModTime(), Ino: st.Ino, Nlink: uint64(st.Nlink)}
	switch {
	case e.Mode.IsRegular():
		data, err := os.ReadFile(path)
		if err != nil {
			return entry{}, err
		}
		e.Size = int64(len(data))
		sum := sha256.Sum256(data)
		e.Sum = hex.EncodeToString(sum[:])
	case e.Mode&fs.ModeSymlink != 0:
		e.Sum, err = os.Readlink(path)
		e.Mode, e.Size = fs.ModeSymlink, int64(len(e.Sum))
	case e.Mode.IsDir():
		e.Size = 0
	}
	return e, err
}

// contents drops what Nix changes in a tree that it adds to its store: times,
// link counts, and of the mode all but the owner's execute bit of a file.
func (tr tree) contents() tree {
	out := tree{}
	for name, e := range tr {
		mode := e.Mode.Type()
		if e.Mode.IsRegular() {
			mode |= e.Mode & 0o100
		}
		out[name] = entry{Mode: mode, Size: e.Size, Sum: e.Sum}
	}
	return out
}

// unlinked drops inode numbers and link counts, and keeps names, bytes, modes
// and times.
func (tr tree) unlinked() tree {
	out := tree{}
	for name, e := range tr {
		e.Ino, e.Nlink = 0, 0
		out[name] = e
	}
	return out
}

// digest is one hash over the whole tree.
func (tr tree) digest() string {
	names := make([]string, 0, len(tr))
	for name := range tr {
		names = append(names, name)
	}
	sort.Strings(names)
	h := sha256.New()
	for _, name := range names {
		e := tr[name]
		fmt.Fprintf(h, "%q %v %d %q %d %d %d\n", name, e.Mode, e.Size, e.Sum, e.Mtime.UnixNano(), e.Ino, e.Nlink)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// diff lists up to ten differences between two trees.
func diff(got, want tree) string {
	var lines []string
	for name, w := range want {
		g, ok := got[name]
		switch {
		case !ok:
			lines = append(lines, fmt.Sprintf("%s: missing, want %+v", name, w))
		case g != w:
			lines = append(lines, fmt.Sprintf("%s: got %+v, want %+v", name, g, w))
		}
	}
	for name, g := range got {
		if _, ok := want[name]; !ok {
			lines = append(lines, fmt.Sprintf("%s: stray %+v", name, g))
		}
	}
	sort.Strings(lines)
	if n := len(lines); n > 10 {
		lines = append(lines[:10], fmt.Sprintf("and %d more", n-10))
	}
	return strings.Join(lines, "\n")
}

// writeTree makes a tree of n regular files whose sizes are spread as a Nix
// store's are (half under 2 KB, a tenth over 18 KB); every tenth has the same
// contents as another, every seventh is executable, and symlinks, empty files
// and empty directories lie among them.
func writeTree(t *testing.T, root, seed string, n int) {
	t.Helper()
	rnd := rand.New(rand.NewChaCha8(sha256.Sum256([]byte(seed))))
	for i := range n {
		dir := filepath.Join(root, fmt.Sprintf("d%02d", i%40), fmt.Sprintf("s%d", i%5))
		try(t, os.MkdirAll(dir, 0o755))
		mode := fs.FileMode(0o644)
		if i%7 == 0 {
			mode = 0o755
		}
		name := filepath.Join(dir, fmt.Sprintf("f%05d", i))
		try(t, os.WriteFile(name, fileContents(rnd, seed, i), mode))
		if i%50 == 0 {
			try(t, os.Symlink(filepath.Base(name), name+".link"))
			try(t, os.Mkdir(name+".empty", 0o755))
		}
	}
}

// fileContents returns the bytes of file i of a tree.
func fileContents(rnd *rand.Rand, seed string, i int) []byte {
	size := rnd.IntN(3600)
	switch {
	case i%10 == 3:
		return fmt.Appendf(nil, "%s duplicate %d\n", seed, i%20)
	case i%100 == 9:
		return nil
	case i%10 == 0:
		size = 18<<10 + rnd.IntN(12<<10)
	}
	line := fmt.Appendf(nil, "%s file %d\n", seed, i)
	return bytes.Repeat(line, size/len(line)+1)
}

// try fails the test on an error that no test expects.
func try(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
