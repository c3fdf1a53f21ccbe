package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// scale is how much there is of everything.
type scale struct {
	Eval, Flat        int   // files that an evaluation reads, and of the directory for look-ups
	Short, Long, More int   // names in the directories that are listed; More tops the handles up
	Read, Write       int64 // bytes of the files that are read and written
	Dirty             int64 // bytes that the COMMIT has to sync beside which GETATTRs are made
	Unpack            int   // files that are unpacked at most
	Walk              int   // files that are walked for the server's memory
}

// fullScale gives out 200,000 handles before the workloads that come after as many.
func fullScale() scale {
	return scale{
		Eval: 20_000, Flat: 10_000, Short: 10_000, Long: 100_000, More: 60_000,
		Read: 256 << 20, Write: 256 << 20, Dirty: 1 << 30, Unpack: 20_000, Walk: 1_000_000,
	}
}

// tinyScale is for a test that all of it works.
func tinyScale() scale {
	return scale{
		Eval: 200, Flat: 100, Short: 100, Long: 500, More: 100,
		Read: 4 << 20, Write: 4 << 20, Dirty: 4 << 20, Unpack: 200, Walk: 1000,
	}
}

// handles is how many objects a client that has seen everything has handles of.
func (s *scale) handles() int { return s.Eval + s.Flat + s.Short + s.Long + s.More }

const (
	flatSize = 64 // bytes of each file for look-ups

	evalPerDir = 20 // files of a directory, in nixpkgs a handful
	evalPerTop = 50 // such directories in one

	bigFile  = "big"
	scratch  = "scratch" // where servers write
	dirFlat  = "flat"
	dirEval  = "eval"
	dirShort = "short"
	dirStore = "store"
	dirMore  = "more"
	dirWalk  = "walk"

	walkPerDir = 1000
)

func flatName(i int) string { return fmt.Sprintf("file-%05d", i) }

// evalDir and evalName make the path of one of the files that an evaluation reads.
func evalDir(d int) [2]string {
	return [2]string{fmt.Sprintf("by-name-%02d", d/evalPerTop), fmt.Sprintf("package-%05d", d)}
}

func evalName(i int) string { return fmt.Sprintf("file-%d.nix", i) }

// evalSize is 1 to 8 KiB.
func evalSize(i int) int { return 1<<10 + int(seeded(i).Uint64N(7<<10)) }

// seeded gives numbers that depend on i only.
func seeded(i int) *rand.Rand { return rand.New(rand.NewPCG(uint64(i), 0)) }

// storeName looks like a store path's.
func storeName(i int) string {
	const digits = "0123456789abcdfghijklmnpqrsvwxyz" // Nix's base 32
	r, hash := seeded(i), make([]byte, 32)
	for k := range hash {
		hash[k] = digits[r.IntN(len(digits))]
	}
	return fmt.Sprintf("%s-package-%d.%d", hash, i/100, i%100)
}

// contents makes n bytes that begin with their seed and are the same again for the same one.
func contents(b []byte, seed uint64) []byte {
	r := rand.NewPCG(seed, 1)
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	binary.LittleEndian.PutUint64(b, seed)
	return b
}

// holds reports whether b can be what contents made of seed.
func holds(b []byte, seed uint64) bool { return len(b) >= 8 && binary.LittleEndian.Uint64(b) == seed }

// maker makes a tree in several directories, which together hold it: what is in one directory
// of it is dealt to them in turn, the leaves of the evaluation's whole, as store paths are.
type maker struct {
	dirs []string
	buf  []byte
	err  error
}

// makeTree makes the tree of a scale in dirs.
func makeTree(s *scale, dirs ...string) error {
	m := &maker{dirs: dirs, buf: make([]byte, 1<<20)}
	for d := range s.Eval / evalPerDir {
		at := filepath.Join(dirEval, evalDir(d)[0], evalDir(d)[1])
		m.mkdir(d, at)
		for i := range evalPerDir {
			id := d*evalPerDir + i
			m.write(d, filepath.Join(at, evalName(i)), contents(m.buf[:evalSize(id)], uint64(id)))
		}
	}
	m.mkdirs(dirFlat, scratch)
	for i := range s.Flat {
		m.write(i, filepath.Join(dirFlat, flatName(i)), contents(m.buf[:flatSize], uint64(i)))
	}
	m.store(dirShort, s.Short)
	m.store(dirStore, s.Long)
	m.store(dirMore, s.More)
	m.big(s.Read)
	return m.err
}

// in gives where the i-th of something is.
func (m *maker) in(i int, name string) string { return filepath.Join(m.dirs[i%len(m.dirs)], name) }

func (m *maker) note(err error) { m.err = errors.Join(m.err, err) }

func (m *maker) mkdir(i int, name string) {
	if m.err == nil {
		m.note(os.MkdirAll(m.in(i, name), 0o755))
	}
}

// mkdirs makes directories that are everywhere.
func (m *maker) mkdirs(names ...string) {
	for _, name := range names {
		for i := range m.dirs {
			m.mkdir(i, name)
		}
	}
}

func (m *maker) write(i int, name string, b []byte) {
	if m.err == nil {
		m.note(os.WriteFile(m.in(i, name), b, 0o644))
	}
}

// store makes a directory with names like a store's: one in ten is a directory.
func (m *maker) store(dir string, n int) {
	m.mkdirs(dir)
	for i := range n {
		if name := filepath.Join(dir, storeName(i)); i%10 == 0 {
			m.mkdir(i, name)
		} else {
			m.write(i, name, nil)
		}
	}
}

// big makes the file that is read. Each MiB of it begins with its offset.
func (m *maker) big(size int64) {
	if m.err != nil {
		return
	}
	f, err := os.Create(m.in(len(m.dirs)-1, bigFile))
	if err != nil {
		m.note(err)
		return
	}
	for off := int64(0); off < size && err == nil; off += int64(len(m.buf)) {
		_, err = f.Write(contents(m.buf, uint64(off)))
	}
	m.note(errors.Join(err, f.Sync(), f.Close()))
}

// makeWalk makes the files that are walked for the server's memory.
func makeWalk(s *scale, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, dirWalk)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m := &maker{dirs: []string{dir}}
	for d := range s.Walk / walkPerDir {
		at := filepath.Join(dirWalk, flatName(d))
		m.mkdir(0, at)
		for i := range walkPerDir {
			m.write(0, filepath.Join(at, flatName(i)), nil)
		}
	}
	return m.err
}
