package applenfs_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/applenfs"
)

// storePaths is how many store paths are added, each of about 45 files.
var storePaths = flag.Int("store.paths", 4, "store paths that TestNixStore adds")

// storeFiles makes such a path (see randomTree).
const storeFiles = 20

// TestNixStore adds, verifies, optimises and collects store paths as Nix does, through the client,
// while the server is killed, or gives way to another, every few hundred calls: alone, over two
// lower directories that hold part of the store, and on a volume that folds names.
func TestNixStore(t *testing.T) {
	tt := []struct {
		name   string
		lowers int
		volume func(testing.TB) string // the upper is on it
	}{
		{"upper", 0, func(t testing.TB) string { return t.TempDir() }},
		{"lowers", 2, func(t testing.TB) string { return t.TempDir() }},
		{"folding", 0, foldingVolume},
	}
	const callsBetweenAccidents = 250
	binary := build(t)
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			p := &process{
				binary: binary, every: callsBetweenAccidents,
				upper: filepath.Join(tt.volume(t), "upper"), state: filepath.Join(t.TempDir(), "state"),
			}
			r := rand.New(rand.NewPCG(4711, uint64(tt.lowers)))
			s := &store{t: t, paths: map[string]string{}}
			for i := range tt.lowers {
				p.lowers = append(p.lowers, t.TempDir())
				s.lower(r, p.lowers[i], i)
			}
			p.run(t)
			s.m = mount(t, applenfs.Options{Dial: p.dial})
			s.life(r)
			s.lookAgain(p)
			t.Logf("%d calls, killed %d times, restarted %d times: %v", p.calls, p.kills, p.restarts, s.m.Calls())
		})
	}
}

// lower fills a lower directory with a few store paths.
func (s *store) lower(r *rand.Rand, dir string, i int) {
	for j := range (*storePaths + 1) / 2 {
		name := fmt.Sprintf("lower%d-%d", i, j)
		o := randomTree(r, storeFiles, 2)
		putOnDisk(s.t, filepath.Join(dir, storeDir, name), o)
		s.paths[name] = o.hash()
	}
}

// life is what happens to a store.
func (s *store) life(r *rand.Rand) {
	if len(s.paths) == 0 {
		s.must(s.m.Mkdir(storeDir, 0o755))
	}
	s.must(s.m.Mkdir(linksDir, 0o755))
	s.must(s.m.Mkdir(trashDir, 0o755))
	files := 0
	for i := range *storePaths {
		o := randomTree(r, storeFiles, 2)
		files += o.files()
		s.add(fmt.Sprintf("path-%d", i), o)
	}
	s.verify(s.m)
	replaced := s.optimise()
	s.verify(s.m)
	var garbage []string
	for name := range s.paths {
		garbage = append(garbage, name)
	}
	slices.Sort(garbage)
	unused := s.collect(garbage[:len(garbage)/2])
	s.verify(s.m)
	s.t.Logf("%d files added, %d replaced by links, %d paths collected, %d links unused", files, replaced, len(garbage)/2, unused)
	if replaced == 0 || unused == 0 {
		s.t.Error("the store was too small to show anything")
	}
}

// lookAgain looks at what is left with the eyes of another kernel that caches nothing.
func (s *store) lookAgain(p *process) {
	s.must(s.m.Unmount())
	unnoted(s.t, s.m)
	p.kill()
	other := mount(s.t, applenfs.Options{Dial: p.dial, Forgetful: true})
	s.verify(other)
	want := []string{".links", "trash"}
	for name := range s.paths {
		want = append(want, name)
	}
	if got := s.names(other, storeDir); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		s.t.Errorf("the store holds %q, want %q", got, want)
	}
	if left := s.names(other, trashDir); len(left) > 0 {
		s.t.Errorf("in the trash is %q", left)
	}
	s.must(other.Unmount())
	unnoted(s.t, other)
	p.fsck()
}
