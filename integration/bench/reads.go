package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// deep is how many calls are under way at once where there are many.
const deep = 32

// seventh is a file that is asked for alone.
const seventh = 7

// runGetattr asks for one file's attributes, over and over.
func runGetattr(c *contender, row string) error {
	fh, err := c.handle(dirFlat, flatName(seventh))
	if err != nil {
		return err
	}
	for _, depth := range []int{1, deep} {
		if err := c.measure(fmt.Sprint(row, "-", depth), depth, func(w *walker, m *meter) error {
			return getattrs(w, m, fh)
		}); err != nil {
			return err
		}
	}
	return nil
}

func getattrs(w *walker, m *meter, fh nfsclient.FH) error {
	for !m.late(w.now) {
		a, err := w.getattr(fh)
		if err == nil && a.Size != flatSize {
			err = fmt.Errorf("GETATTR: %w: a size of %d", errWrong, a.Size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func directGetattr(c *contender) error {
	path := filepath.Join(c.place.plain(), dirFlat, flatName(seventh))
	return c.direct("getattr-1", func(m *meter) error {
		var st unix.Stat_t
		return m.repeat(func() error { return unix.Lstat(path, &st) })
	})
}

// runLookup looks names of a large directory up.
func runLookup(c *contender) error {
	dir, err := c.handle(dirFlat)
	if err != nil {
		return err
	}
	names := c.flatNames()
	for _, depth := range []int{1, deep} {
		if err := c.measure(fmt.Sprint("lookup-", depth), depth, func(w *walker, m *meter) error {
			for i := seeded(int(w.slot)); !m.late(w.now); {
				r, err := w.lookup(dir, names[i.IntN(len(names))])
				if err == nil && r.Attr.Size != flatSize {
					err = fmt.Errorf("LOOKUP: %w: a size of %d", errWrong, r.Attr.Size)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func (c *contender) flatNames() []string {
	names := make([]string, c.scale.Flat)
	for i := range names {
		names[i] = flatName(i)
	}
	return names
}

func directLookup(c *contender) error {
	names := c.flatNames()
	for i, name := range names {
		names[i] = filepath.Join(c.place.plain(), dirFlat, name)
	}
	return c.direct("lookup-1", func(m *meter) error {
		var st unix.Stat_t
		i := seeded(0)
		return m.repeat(func() error { return unix.Lstat(names[i.IntN(len(names))], &st) })
	})
}

// runEval reads all files of a tree like nixpkgs, as a client does that knows none of them:
// each directory is looked up from the root, each file looked up, asked for rights and read.
func runEval(c *contender) error {
	for _, walkers := range []int{1, 8} {
		next := 0
		if err := c.measure(fmt.Sprint("eval-", walkers), walkers, func(w *walker, m *meter) error {
			for !m.late(w.now) {
				d := next % (c.scale.Eval / evalPerDir)
				next++
				if err := c.evalOne(w, d); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// evalOne reads the files of one directory.
func (c *contender) evalOne(w *walker, d int) error {
	at := evalDir(d)
	dir, err := w.walk(c.root, dirEval, at[0], at[1])
	if err != nil {
		return err
	}
	for i := range evalPerDir {
		id := d*evalPerDir + i
		r, err := w.lookup(dir, evalName(i))
		if err == nil {
			err = w.access(r.FH)
		}
		if err != nil {
			return err
		}
		got, err := w.read(r.FH, 0, page)
		if err == nil && (len(got.Data) != evalSize(id) || !got.EOF || !holds(got.Data, uint64(id))) {
			err = fmt.Errorf("READ of file %d: %w", id, errWrong)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// directEval counts a file as the three calls that it takes over NFS.
func directEval(c *contender) error {
	buf := make([]byte, page)
	return c.direct("eval-1", func(m *meter) error {
		id := 0
		err := m.repeat(func() error {
			at := evalDir(id / evalPerDir)
			err := readWhole(filepath.Join(c.place.plain(), dirEval, at[0], at[1], evalName(id%evalPerDir)), buf)
			id = (id + 1) % c.scale.Eval
			return err
		})
		m.calls *= 3
		return err
	})
}

func readWhole(path string, buf []byte) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	_, err = unix.Read(fd, buf)
	return err
}

// runList lists two directories, at least once each.
func runList(c *contender) error {
	for _, l := range c.lists() {
		dir, err := c.handle(l.dir)
		if err != nil {
			return err
		}
		var seen []nfsclient.EntryPlus
		whole := true
		if err := c.measure(l.row, 1, func(w *walker, m *meter) error {
			for !m.late(w.now) {
				seen = make([]nfsclient.EntryPlus, 0, l.names)
				err := w.list(dir, func(e *nfsclient.EntryPlus) { seen = append(seen, *e) }, func() bool {
					whole = !m.overdue(w.now)
					return whole
				})
				if err != nil {
					return err
				}
				m.units += float64(len(seen))
			}
			return nil
		}); err != nil {
			return err
		}
		if err := complete(seen, l.names); err != nil && whole {
			return fmt.Errorf("READDIRPLUS of %s: %w", l.dir, err)
		}
	}
	return nil
}

// listed is a directory that is listed.
type listed struct {
	row, dir string
	names    int
}

func (c *contender) lists() []listed {
	return []listed{{"list-short", dirShort, c.scale.Short}, {"list-long", dirStore, c.scale.Long}}
}

// complete holds that in a listing nothing is missing or twice.
func complete(seen []nfsclient.EntryPlus, want int) error {
	ids, bare := make(map[uint64]struct{}, want), 0
	for _, e := range seen {
		ids[e.Fileid] = struct{}{}
		if e.Attr == nil || e.FH == nil {
			bare++
		}
	}
	if len(seen) != want || len(ids) != want || bare > 0 {
		return fmt.Errorf("%w: %d names of %d objects instead of %d, %d without attributes or a handle", errWrong, len(seen), len(ids), want, bare)
	}
	return nil
}

func directList(c *contender) error {
	for _, l := range c.lists() {
		dir := filepath.Join(c.place.plain(), l.dir)
		if err := c.direct(l.row, func(m *meter) error {
			names, err := os.ReadDir(dir)
			var st unix.Stat_t
			for _, e := range names {
				if err == nil {
					err = unix.Lstat(filepath.Join(dir, e.Name()), &st)
				}
				m.units++
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// size is one of the sizes of READs and WRITEs, with the rows' name for it.
type size struct {
	name  string
	bytes int
}

func sizes() []size { return []size{{"64k", 64 << 10}, {"1m", 1 << 20}} }

// streams is how many READs and WRITEs are under way at once.
const streams = 8

// runRead reads a large file from its beginning to its end, again and again.
func runRead(c *contender) error {
	fh, err := c.handle(bigFile)
	if err != nil {
		return err
	}
	for _, size := range sizes() {
		next := int64(0)
		if err := c.measure("read-"+size.name, streams, func(w *walker, m *meter) error {
			for !m.late(w.now) {
				off := next % c.scale.Read
				next += int64(size.bytes)
				if err := readAt(w, m, fh, off, size.bytes); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// readAt reads size bytes, in several calls where the server gives fewer.
func readAt(w *walker, m *meter, fh nfsclient.FH, off int64, size int) error {
	for done := 0; done < size; {
		r, err := w.read(fh, uint64(off)+uint64(done), size-done)
		if err != nil {
			return err
		}
		if len(r.Data) == 0 || done == 0 && off%(1<<20) == 0 && !holds(r.Data, uint64(off)) {
			return fmt.Errorf("READ at %d: %w: %d bytes", off, errWrong, len(r.Data))
		}
		done += len(r.Data)
		m.units += float64(len(r.Data)) / (1 << 20)
	}
	return nil
}

func directRead(c *contender) error {
	f, err := os.Open(filepath.Join(c.place.plain(), bigFile))
	if err != nil {
		return err
	}
	defer f.Close()
	for _, size := range sizes() {
		buf, off := make([]byte, size.bytes), int64(0)
		if err := c.direct("read-"+size.name, func(m *meter) error {
			return m.repeat(func() error {
				n, err := f.ReadAt(buf, off)
				if err == io.EOF {
					err = nil
				}
				off = (off + int64(n)) % c.scale.Read
				m.units += float64(n) / (1 << 20)
				return err
			})
		}); err != nil {
			return err
		}
	}
	return nil
}

// runHandles sees to it that the server has given out handles of everything, as far as that
// can be had in the time, and asks for attributes again.
func runHandles(c *contender) error {
	if err := c.once(func(w *walker) error {
		end := w.now.Add(grace)
		inTime := func() bool { return w.now.Before(end) }
		for _, path := range c.directories() {
			dir, err := w.walk(c.root, path...)
			if err == nil {
				err = w.list(dir, func(*nfsclient.EntryPlus) {}, inTime)
			}
			if err != nil || !inTime() {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return runGetattr(c, "handles")
}

// directories are all that hold files.
func (c *contender) directories() [][]string {
	dirs := [][]string{{dirStore}, {dirMore}, {dirFlat}, {dirShort}}
	for d := range c.scale.Eval / evalPerDir {
		at := evalDir(d)
		dirs = append(dirs, []string{dirEval, at[0], at[1]})
	}
	return dirs
}
