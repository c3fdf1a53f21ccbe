package overlay_test

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// FuzzStart damages what a server keeps between two starts, in its state and its work
// directory, and puts there what is none of its notes. The next start refuses it or serves:
// every name shows what it showed, and a handle from before gives what it gave, or is stale;
// never another object.
func FuzzStart(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 30, 1, 0, 0, 60, 255, 0, 1, 100, 7})
	f.Add([]byte{1, 0, 90, 1, 1, 10})
	f.Add([]byte{2, 0, '1', ' ', '2', 0, '/', 2, 3, 'x', 2, 4, '/'})
	f.Add([]byte{3, 0, 3, 1})
	for seed := range uint64(10) {
		b := make([]byte, 50)
		for i, r := 0, rand.New(rand.NewPCG(seed, 10)); i < len(b); i++ {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		needMarks(t)
		s := newStart(t, script)
		for len(s.script) > 0 {
			s.damage()
		}
		fs, err := overlay.Open(s.options)
		if err != nil {
			return
		}
		s.FS = fs
		s.checkNames()
		s.checkHandles()
		s.close()
	})
}

// start is a store with one of each that is kept over a start.
type start struct {
	*tree
	script   []byte
	contents map[string]string // by name
	handles  map[overlay.ID]string
}

func newStart(t *testing.T, script []byte) *start {
	t.Helper()
	s := &start{tree: newTree(t, 1), script: script, handles: map[overlay.ID]string{}}
	s.spoilt = true
	s.options.ShortSegments()
	s.options.Work = s.options.Upper + ".work"
	lower := s.options.Lowers[0]
	for _, name := range []string{"low", "copied", "linked", "moved"} {
		mustWrite(t, filepath.Join(lower, name), name)
	}
	mustLink(t, lower+"/linked", lower+"/linked2")
	mustLink(t, lower+"/linked", lower+"/linked3")
	mustLink(t, lower+"/low", lower+"/low2")
	s.open()
	s.create(s.Root(), "new", "new")
	open := s.create(s.Root(), "open", "open")
	for _, name := range []string{"copied", "linked"} {
		s.write(s.walk(name).ID, name)
	}
	s.mustRename(s.Root(), "moved", s.Root(), "elsewhere")
	s.remove(s.Root(), "low2")
	s.mustRename(s.Root(), "open", s.Root(), linuxSilly(open.ID))
	s.contents = map[string]string{"new": "new", "copied": "copied", "linked": "linked", "linked3": "linked", "elsewhere": "moved", "low": "low"}
	for name, data := range s.contents {
		s.handles[s.walk(name).ID] = data
	}
	s.handles[open.ID] = "open"
	s.close()
	return s
}

// n takes a number below max from the script; 0 at its end.
func (s *start) n(max int) int {
	if len(s.script) == 0 {
		return 0
	}
	b := s.script[0]
	s.script = s.script[1:]
	return int(b) % max
}

// damage changes, cuts, plants or removes one file.
func (s *start) damage() {
	s.t.Helper()
	op, files := s.n(4), s.kept()
	path := files[s.n(len(files))]
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	at := s.n(256) * max(1, len(b)/4096) % (len(b) + 1)
	switch op {
	case 0:
		if at < len(b) {
			b[at] ^= byte(1 + s.n(255))
		}
		err = os.WriteFile(path, b, 0o600)
	case 1:
		err = os.Truncate(path, int64(at))
	case 2:
		s.plant()
	case 3:
		err = os.Remove(path)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// kept are the files that hold nothing of clients.
func (s *start) kept() (files []string) {
	s.t.Helper()
	for _, dir := range []string{s.options.State, s.options.Work} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && (d.Name() == "index" || d.Name() == "silly") {
				return fs.SkipDir
			}
			if err == nil && d.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if len(files) == 0 { // all were removed
		files = []string{filepath.Join(s.options.Work, "lowers")}
		_ = os.Remove(files[0]) // it may be a link that was planted
		if err := os.WriteFile(files[0], nil, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return files
}

// plant puts the next bytes of the script where a note could be, as a file or a link.
func (s *start) plant() {
	names := []string{
		"rename", "rename-whiteout", "#9", "count-1-1-true-2-1", "mode-1-700-755", "count-x", "mode-x", "index/x", "silly/x",
		"index/" + strings.Repeat("0", 32) + "-3", "silly/run-" + strings.Repeat("0", 32) + "-" + strings.Repeat("F", 32) + "-.nfs", "lowers", "spaces", "upper",
	}
	path := filepath.Join(s.options.Work, names[s.n(len(names))])
	n := s.n(64)
	text := s.script[:min(n, len(s.script))]
	s.script = s.script[len(text):]
	_ = os.Remove(path) // or what is there already stays
	if s.n(2) == 1 {
		_ = os.Symlink(string(text), path)
		return
	}
	_ = os.WriteFile(path, text, 0o600)
	if s.n(2) == 1 {
		_ = unix.Lsetxattr(path, "user.overlay.whiteout", []byte("y"), 0)
	}
}

// checkNames: what is in the layers does not depend on what was damaged.
func (s *start) checkNames() {
	s.t.Helper()
	want := []string{}
	for name, data := range s.contents {
		want = append(want, name)
		if got := s.read(s.walk(name).ID); got != data {
			s.t.Errorf("%s: got %q, want %q", name, got, data)
		}
	}
	want = append(want, "linked2")
	slices.Sort(want)
	if got := s.list(s.Root()); !slices.Equal(got, want) {
		s.t.Errorf("the root lists %q, want %q", got, want)
	}
}

func (s *start) checkHandles() {
	s.t.Helper()
	for id, want := range s.handles {
		var a overlay.Attr
		b := make([]byte, 100)
		n, _, err := s.Read(worker, id, b, 0, &a)
		if err == nil && string(b[:n]) != want {
			s.t.Errorf("handle %v: got %q, want %q", id, b[:n], want)
		}
	}
}
