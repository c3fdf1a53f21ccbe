package applenfs_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/applenfs"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

var (
	randomScripts = flag.Int("random.scripts", 6, "scripts of random operations that TestRandom runs")
	randomSeed    = flag.Uint64("random.seed", 1, "seed of the first of them")
)

// opened is an open file.
type opened interface {
	io.ReaderAt
	io.WriterAt
	Truncate(int64) error
	Sync() error
	Close() error
}

// tree is a file system, as far as random operations go.
type tree interface {
	OpenFile(name string, flag int, mode fs.FileMode) (opened, error)
	Mkdir(name string, mode fs.FileMode) error
	Symlink(target, name string) error
	Readlink(name string) (string, error)
	Link(name, other string) error
	Remove(name string) error
	Rename(from, to string) error
	Chmod(name string, mode fs.FileMode) error
	Chtimes(name string, atime, mtime time.Time) error
	Lstat(name string) (fs.FileInfo, error)
	names(dir string) ([]string, error)
}

// mounted is a mount as a tree.
type mounted struct{ *applenfs.Mount }

func (m mounted) OpenFile(name string, flag int, mode fs.FileMode) (opened, error) {
	f, err := m.Mount.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m mounted) Lstat(name string) (fs.FileInfo, error) {
	info, err := m.Mount.Lstat(name)
	if err != nil {
		return nil, err
	}
	return info, nil
}

func (m mounted) names(dir string) (names []string, err error) {
	entries, err := m.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return slices.Sorted(slices.Values(names)), err
}

// plain is a directory as a tree: what is right.
type plain string

func (p plain) at(name string) string { return filepath.Join(string(p), name) }

func (p plain) OpenFile(name string, flag int, mode fs.FileMode) (opened, error) {
	f, err := os.OpenFile(p.at(name), flag, mode)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (p plain) Mkdir(name string, mode fs.FileMode) error { return os.Mkdir(p.at(name), mode) }
func (p plain) Symlink(target, name string) error         { return os.Symlink(target, p.at(name)) }
func (p plain) Readlink(name string) (string, error)      { return os.Readlink(p.at(name)) }
func (p plain) Link(name, other string) error             { return os.Link(p.at(name), p.at(other)) }
func (p plain) Remove(name string) error                  { return os.Remove(p.at(name)) }
func (p plain) Rename(from, to string) error              { return syscall.Rename(p.at(from), p.at(to)) }
func (p plain) Chmod(name string, mode fs.FileMode) error { return os.Chmod(p.at(name), mode) }
func (p plain) Lstat(name string) (fs.FileInfo, error)    { return os.Lstat(p.at(name)) }

func (p plain) Chtimes(name string, atime, mtime time.Time) error {
	return os.Chtimes(p.at(name), atime, mtime)
}

func (p plain) names(dir string) (names []string, err error) {
	entries, err := os.ReadDir(p.at(dir))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// script is a run of random operations, done to a mount and to a plain directory.
type script struct {
	*world
	r     *rand.Rand
	right plain
	who   *applenfs.Mount // A or B
	files []pair
	log   []string
}

// pair is one file, open in both.
type pair struct{ got, want opened }

// TestRandom does random operations through one kernel, for which no time passes, and then
// another, and holds what they see to a plain directory. Replies get lost and servers go.
func TestRandom(t *testing.T) {
	for i := range *randomScripts {
		seed := *randomSeed + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			lowers, volume := i%3, t.TempDir()
			if i%6 == 5 {
				volume = foldingVolume(t)
			}
			s := &script{world: worldOf(t, newServerOn(t, volume, lowers, nil)), r: rand.New(rand.NewPCG(seed, 0)), right: plain(t.TempDir())}
			for i := range lowers {
				makeSame(t, string(s.right), i)
			}
			for _, wrong := range s.play(func(*world) { s.run(400) }) {
				t.Error(wrong)
			}
			if t.Failed() {
				t.Logf("with %d lower directories:\n%s", lowers, strings.Join(s.log, "\n"))
			}
		})
	}
}

// makeSame puts into a directory what makeLower has put into a lower one.
func makeSame(t testing.TB, dir string, i int) {
	t.Helper()
	name := string(rune('a' + i))
	err := os.MkdirAll(filepath.Join(dir, "below"), 0o755)
	for _, file := range []string{name, "below/" + name} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, file), []byte("lower "+name), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *script) run(steps int) {
	s.who = s.a
	for i := range steps {
		s.step()
		if s.r.IntN(8) == 0 {
			s.accident()
		}
		if i%25 == 24 {
			s.compare()
			s.change()
			s.compare()
		}
		if len(s.found) > 0 {
			panic(enough{})
		}
	}
	s.change()
}

// change has the other kernel go on. What is open, a kernel does not tell others of.
func (s *script) change() {
	for _, f := range s.files {
		s.both("close", f.got.Close(), f.want.Close())
	}
	s.files = nil
	if s.who == s.a {
		s.who = s.b
	} else {
		s.who = s.a
	}
	s.note("the other kernel")
	s.tick()
	s.clock.Sleep(2 * time.Hour)
}

// accident lets time pass, or a reply or a server get lost.
func (s *script) accident() {
	procs := []uint32{
		nfsclient.ProcCreate, nfsclient.ProcMkdir, nfsclient.ProcRemove, nfsclient.ProcRmdir, nfsclient.ProcRename,
		nfsclient.ProcLink, nfsclient.ProcWrite, nfsclient.ProcSetattr, nfsclient.ProcLookup, nfsclient.ProcReaddirplus,
	}
	switch proc := procs[s.r.IntN(len(procs))]; s.r.IntN(4) {
	case 0:
		s.note("restart")
		s.restart()
	case 1:
		s.note("lose a reply of procedure %d, and the server", proc)
		s.lost.next(proc, s.restart)
	case 2:
		s.note("lose a reply of procedure %d", proc)
		s.lost.next(proc, nil)
	case 3:
		s.later()
	}
}

func (s *script) note(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// name gives a name, in one of few directories.
func (s *script) name() string {
	names := []string{"a", "b", "c", "below", "d", "A", "\u00e4", "a\u0308"}
	name := names[s.r.IntN(len(names))]
	for s.r.IntN(2) == 0 && strings.Count(name, "/") < 3 {
		name = path.Join(name, names[s.r.IntN(len(names))])
	}
	return name
}

// both compares what came of an operation.
func (s *script) both(what string, got, want error) bool {
	s.note("%s: %v", what, want)
	if (got == nil) != (want == nil) {
		s.wrong("%s: got %v, want %v", what, got, want)
	}
	return got == nil && want == nil
}

// step does one operation to both.
func (s *script) step() {
	m := mounted{s.who}
	one, other := s.name(), s.name()
	switch s.r.IntN(14) {
	case 0, 1:
		s.open(one, os.O_RDWR|os.O_CREATE)
	case 2:
		s.open(one, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	case 3:
		s.open(one, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	case 4:
		s.both("mkdir "+one, m.Mkdir(one, 0o755), s.right.Mkdir(one, 0o755))
	case 5:
		s.both("symlink "+one, m.Symlink(other, one), s.right.Symlink(other, one))
	case 6:
		s.link(one, other)
	case 7, 8:
		s.both("remove "+one, m.Remove(one), s.right.Remove(one))
	case 9, 10:
		s.both("rename "+one+" to "+other, m.Rename(one, other), s.right.Rename(one, other))
	case 11:
		mode := fs.FileMode(0o700 | s.r.IntN(0o100))
		s.set("chmod "+one, one, func(t tree) error { return t.Chmod(one, mode) })
	case 12:
		at := time.Unix(int64(s.r.IntN(1_000_000)), 0)
		s.set("utimes "+one, one, func(t tree) error { return t.Chtimes(one, at, at) })
	default:
		s.use()
	}
}

// set leaves symbolic links alone: they would lead out of the plain directory.
func (s *script) set(what, name string, do func(tree) error) {
	if fi, err := s.right.Lstat(name); err == nil && fi.Mode()&fs.ModeSymlink == 0 {
		s.both(what, do(mounted{s.who}), do(s.right))
	}
}

// link leaves out what programs of macOS cannot do: hard links to symbolic links.
func (s *script) link(one, other string) {
	if fi, err := s.right.Lstat(one); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		return
	}
	s.both("link "+one+" to "+other, s.who.Link(one, other), s.right.Link(one, other))
}

const openFiles = 4

func (s *script) open(name string, flag int) {
	if fi, err := s.right.Lstat(name); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		return
	}
	got, gotErr := mounted{s.who}.OpenFile(name, flag, 0o644)
	want, wantErr := s.right.OpenFile(name, flag, 0o644)
	if s.both(fmt.Sprintf("open %s %#x", name, flag), gotErr, wantErr) {
		s.files = append(s.files, pair{got, want})
		s.use()
	}
	if len(s.files) > openFiles {
		f := s.files[0]
		s.files = s.files[1:]
		s.both("close", f.got.Close(), f.want.Close())
	}
}

// use reads or writes an open file.
func (s *script) use() {
	if len(s.files) == 0 {
		return
	}
	i := s.r.IntN(len(s.files))
	f := s.files[i]
	off, size := int64(s.r.IntN(20_000)), s.r.IntN(20_000)
	switch s.r.IntN(5) {
	case 0, 1:
		data := []byte(text(uint64(300+s.r.IntN(1000)), size))
		_, got := f.got.WriteAt(data, off)
		_, want := f.want.WriteAt(data, off)
		s.both(fmt.Sprintf("write %d at %d to file %d", size, off, i), got, want)
	case 2:
		s.both(fmt.Sprintf("truncate file %d to %d", i, off), f.got.Truncate(off), f.want.Truncate(off))
	case 3:
		s.both(fmt.Sprintf("fsync file %d", i), f.got.Sync(), f.want.Sync())
	default:
		got, want := make([]byte, size), make([]byte, size)
		n, _ := f.got.ReadAt(got, off)   // the end
		k, _ := f.want.ReadAt(want, off) // comes in both
		s.note("read %d at %d of file %d", size, off, i)
		if n != k || string(got[:n]) != string(want[:k]) {
			s.wrong("read of %d at %d of file %d: got %d bytes, want %d, or others", size, off, i, n, k)
		}
	}
}

// compare holds what the kernel sees to what is right. Times are the server's, which has
// to have been told.
func (s *script) compare() {
	s.note("compare")
	s.try(s.who.Sync())
	got, want := map[string]string{}, map[string]string{}
	s.describe(mounted{s.who}, "", got)
	s.describe(s.right, "", want)
	for name, w := range want {
		if g := got[name]; g != w {
			s.wrong("%q is %.200s, and not %.200s", name, g, w)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want[name] == "" {
			s.wrong("%q is not there", name)
		}
	}
}

// describe puts all that matters of what is in a directory into a map.
func (s *script) describe(t tree, dir string, into map[string]string) {
	names, err := t.names(dir)
	s.try(err)
	for _, name := range names {
		at := path.Join(dir, name)
		fi, err := t.Lstat(at)
		s.try(err)
		text := fi.Mode().String()
		switch {
		case fi.IsDir():
			s.describe(t, at, into)
		case fi.Mode()&fs.ModeSymlink != 0:
			text, err = t.Readlink(at)
			s.try(err)
		default:
			text += s.bytes(t, at, fi)
		}
		if fi.ModTime().Unix() < 1_000_000 {
			text += fmt.Sprint(" of ", fi.ModTime().Unix())
		}
		into[at] = text
	}
}

func (s *script) bytes(t tree, at string, fi fs.FileInfo) string {
	f, err := t.OpenFile(at, os.O_RDONLY, 0)
	s.try(err)
	got := make([]byte, fi.Size()+1)
	n, err := f.ReadAt(got, 0)
	if err != io.EOF || int64(n) != fi.Size() {
		return fmt.Sprintf(" %d of %d bytes: %v", n, fi.Size(), err)
	}
	s.try(f.Close())
	return fmt.Sprintf(" %d bytes %x", n, sum(got[:n]))
}
