package applenfs_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/integration/applenfs"
)

// object is what a store path holds under one name.
type object struct {
	content    string // of a file; the target of a symbolic link
	executable bool
	link       bool
	children   map[string]*object // of a directory
}

// randomTree makes a directory of about as many files as asked for. Contents come from
// few enough that files are alike.
func randomTree(r *rand.Rand, files, depth int) *object {
	o := &object{children: map[string]*object{}}
	for i := range files {
		switch {
		case depth > 0 && i%7 == 3:
			o.children[fmt.Sprintf("dir-%d", i)] = randomTree(r, files/3, depth-1)
		case i%11 == 5:
			o.children[fmt.Sprintf("link-%d", i)] = &object{link: true, content: fmt.Sprintf("file-%d", r.IntN(files))}
		default:
			size := r.IntN(4000)
			if r.IntN(40) == 0 {
				size = r.IntN(300_000)
			}
			o.children[fmt.Sprintf("file-%d", i)] = &object{content: text(uint64(r.IntN(500)), size), executable: r.IntN(5) == 0}
		}
	}
	return o
}

// text is as many bytes as asked for of a text that seed stands for.
func text(seed uint64, size int) string {
	if seed < 250 {
		size = int(seed) * 16 // alike, also in length
	}
	b := make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = source.Read(b) // it gives no error
	return string(b)
}

// files counts the regular files.
func (o *object) files() int {
	if o.children == nil {
		if o.link {
			return 0
		}
		return 1
	}
	n := 0
	for _, child := range o.children {
		n += child.files()
	}
	return n
}

// An archive is written as Nix does it (nix-archive-1), and its hash stands for the tree.
type archive struct{ io.Writer }

func (a archive) put(words ...string) {
	for _, word := range words {
		var length [8]byte
		binary.LittleEndian.PutUint64(length[:], uint64(len(word)))
		_, _ = a.Write(slices.Concat(length[:], []byte(word), make([]byte, -len(word)&7))) // a hash takes all
	}
}

func (a archive) file(content string, executable bool) {
	a.put("(", "type", "regular")
	if executable {
		a.put("executable", "")
	}
	a.put("contents", content, ")")
}

func (a archive) directory(names []string, each func(name string)) {
	a.put("(", "type", "directory")
	for _, name := range names {
		a.put("entry", "(", "name", name, "node")
		each(name)
		a.put(")")
	}
	a.put(")")
}

func (a archive) object(o *object) {
	switch {
	case o.children != nil:
		a.directory(slices.Sorted(maps.Keys(o.children)), func(name string) { a.object(o.children[name]) })
	case o.link:
		a.put("(", "type", "symlink", "target", o.content, ")")
	default:
		a.file(o.content, o.executable)
	}
}

func (o *object) hash() string {
	h := sha256.New()
	a := archive{h}
	a.put("nix-archive-1")
	a.object(o)
	return hex.EncodeToString(h.Sum(nil))
}

// store is a Nix store on a mount.
type store struct {
	t     testing.TB
	m     *applenfs.Mount
	paths map[string]string // hashes, by path
}

const (
	storeDir = "store"
	linksDir = storeDir + "/.links"
	trashDir = storeDir + "/trash"
)

func (s *store) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// add writes a tree as Nix's restorePath does, and makes its metadata canonical.
func (s *store) add(name string, o *object) {
	s.t.Helper()
	at := path.Join(storeDir, name)
	s.restore(at, o)
	s.canonicalise(at)
	s.paths[name] = o.hash()
}

func (s *store) restore(at string, o *object) {
	s.t.Helper()
	switch {
	case o.children != nil:
		s.must(s.m.Mkdir(at, 0o755))
		for _, name := range slices.Sorted(maps.Keys(o.children)) {
			s.restore(path.Join(at, name), o.children[name])
		}
	case o.link:
		s.must(s.m.Symlink(o.content, at))
	default:
		s.restoreFile(at, o)
	}
}

func (s *store) restoreFile(at string, o *object) {
	f, err := s.m.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	s.must(err)
	if o.executable {
		s.must(f.Chmod(0o777))
	}
	for rest := []byte(o.content); len(rest) > 0; {
		n, err := f.Write(rest[:min(len(rest), 64<<10)])
		s.must(err)
		rest = rest[n:]
	}
	s.must(f.Close())
}

// epoch is the mtime of all in a store.
func epoch() time.Time { return time.Unix(1, 0) }

// canonicalise takes write permission away and sets the time, from the top down.
func (s *store) canonicalise(at string) {
	info, err := s.m.Lstat(at)
	s.must(err)
	if info.Mode()&fs.ModeSymlink == 0 {
		s.must(s.m.Chmod(at, 0o444|info.Mode().Perm()&0o111))
	}
	if info.IsDir() {
		entries, err := s.m.ReadDir(at)
		s.must(err)
		for _, e := range entries {
			s.canonicalise(path.Join(at, e.Name))
		}
		s.must(s.m.Chmod(at, 0o555))
	}
	s.must(s.m.Lchtimes(at, epoch(), epoch()))
}

// verify compares hash, modes and times of all paths with what they should be.
func (s *store) verify(m *applenfs.Mount) {
	s.t.Helper()
	for name, want := range s.paths {
		h := sha256.New()
		a := archive{h}
		a.put("nix-archive-1")
		s.read(m, a, path.Join(storeDir, name))
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			s.t.Errorf("%s: got hash %s, want %s", name, got, want)
		}
	}
}

func (s *store) read(m *applenfs.Mount, a archive, at string) {
	s.t.Helper()
	info, err := m.Lstat(at)
	s.must(err)
	if got := info.ModTime(); !got.Equal(epoch()) {
		s.t.Errorf("%s: mtime is %v", at, got)
	}
	switch {
	case info.IsDir():
		names := s.names(m, at)
		a.directory(names, func(name string) { s.read(m, a, path.Join(at, name)) })
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := m.Readlink(at)
		s.must(err)
		a.put("(", "type", "symlink", "target", target, ")")
	default:
		a.file(s.content(m, at), info.Mode()&0o111 != 0)
	}
}

func (s *store) names(m *applenfs.Mount, at string) []string {
	entries, err := m.ReadDir(at)
	s.must(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return slices.Sorted(slices.Values(names))
}

func (s *store) content(m *applenfs.Mount, at string) string {
	f, err := m.Open(at)
	s.must(err)
	got, err := io.ReadAll(f)
	s.must(errors.Join(err, f.Close()))
	return string(got)
}

// optimise replaces files that are alike by links to one (optimise-store.cc). It gives how
// many it has replaced.
func (s *store) optimise() (replaced int) {
	for name := range s.paths {
		replaced += s.optimisePath(path.Join(storeDir, name))
	}
	return replaced
}

func (s *store) optimisePath(at string) (replaced int) {
	info, err := s.m.Lstat(at)
	s.must(err)
	if info.IsDir() {
		for _, name := range s.names(s.m, at) {
			replaced += s.optimisePath(path.Join(at, name))
		}
		return replaced
	}
	if !info.Mode().IsRegular() {
		return 0
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%v %s", info.Mode()&0o111 != 0, s.content(s.m, at)))
	shared := path.Join(linksDir, hex.EncodeToString(sum[:]))
	err = s.m.Link(at, shared)
	if err == nil {
		return 0
	}
	if !errors.Is(err, fs.ErrExist) {
		s.must(err)
	}
	first, err := s.m.Lstat(shared)
	s.must(err)
	if first.Attr.Fileid == info.Attr.Fileid {
		return 0
	}
	s.replace(at, shared)
	return 1
}

// replace puts a link to a file in another one's place.
func (s *store) replace(at, shared string) {
	dir, temporary := path.Dir(at), path.Join(storeDir, ".tmp-link-1")
	inPath := dir != storeDir
	if inPath {
		s.must(s.m.Chmod(dir, 0o755))
	}
	s.must(s.m.Link(shared, temporary))
	s.must(s.m.Rename(temporary, at))
	if inPath {
		s.must(s.m.Chmod(dir, 0o555))
		s.must(s.m.Lchtimes(dir, epoch(), epoch()))
	}
}

// collect removes a path by way of the trash, and then the links that nobody needs
// (gc.cc). It gives how many links went.
func (s *store) collect(names []string) (unused int) {
	for _, name := range names {
		trash := path.Join(trashDir, name)
		s.must(s.m.Chmod(path.Join(storeDir, name), 0o755))
		s.must(s.m.Rename(path.Join(storeDir, name), trash))
		s.remove(trash)
		delete(s.paths, name)
	}
	s.each(linksDir, func(at string) {
		info, err := s.m.Lstat(at)
		s.must(err)
		if info.Attr.Nlink == 1 {
			s.must(s.m.Remove(at))
			unused++
		}
	})
	return unused
}

// remove removes all in a directory while it is listed.
func (s *store) remove(at string) {
	info, err := s.m.Lstat(at)
	s.must(err)
	if info.IsDir() {
		s.must(s.m.Chmod(at, 0o755))
		s.each(at, s.remove)
	}
	s.must(s.m.Remove(at))
}

// each calls do with what a directory holds, as it is listed.
func (s *store) each(dir string, do func(at string)) {
	f, err := s.m.Open(dir)
	s.must(err)
	for {
		some, err := f.ReadSome()
		s.must(err)
		if len(some) == 0 {
			break
		}
		for _, e := range some {
			if e.Name != "." && e.Name != ".." {
				do(path.Join(dir, e.Name))
			}
		}
	}
	s.must(f.Close())
}

// putOnDisk makes a tree in a lower directory, canonical.
func putOnDisk(t testing.TB, at string, o *object) {
	t.Helper()
	var err error
	switch {
	case o.children != nil:
		err = os.MkdirAll(at, 0o755)
		for name, child := range o.children {
			putOnDisk(t, filepath.Join(at, name), child)
		}
		err = errors.Join(err, os.Chmod(at, 0o555), os.Chtimes(at, epoch(), epoch()))
	case o.link:
		second := unix.NsecToTimespec(epoch().UnixNano())
		err = errors.Join(os.Symlink(o.content, at),
			unix.UtimesNanoAt(unix.AT_FDCWD, at, []unix.Timespec{second, second}, unix.AT_SYMLINK_NOFOLLOW))
	default:
		mode := fs.FileMode(0o444)
		if o.executable {
			mode = 0o555
		}
		err = errors.Join(os.WriteFile(at, []byte(o.content), mode), os.Chmod(at, mode), os.Chtimes(at, epoch(), epoch()))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sum tells contents apart.
func sum(b []byte) [4]byte {
	all := sha256.Sum256(b)
	return [4]byte(all[:])
}
