package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// newFile makes a file to write to, and gives what removes it.
func (c *contender) newFile(name string) (fh nfsclient.FH, remove func() error, err error) {
	dir, err := c.handle(scratch)
	if err != nil {
		return "", nil, err
	}
	name += "-by-" + c.name
	err = c.once(func(w *walker) error {
		fh, err = w.create(dir, name)
		return err
	})
	return fh, func() error { return c.once(func(w *walker) error { return w.remove(dir, name) }) }, err
}

// runWrite writes a new file UNSTABLE, and has it committed: each is measured by itself, and
// both are together.
func runWrite(c *contender) error {
	for _, size := range sizes() {
		fh, remove, err := c.newFile("written")
		if err != nil {
			return err
		}
		if err := errors.Join(c.writeOne(size, fh), remove()); err != nil {
			return err
		}
	}
	return nil
}

func (c *contender) writeOne(size size, fh nfsclient.FH) error {
	j := newJob(fh, c.scale.Write, size.bytes)
	if err := c.measure("write-"+size.name, streams, j.write); err != nil {
		return err
	}
	if err := c.measure("commit-"+size.name, 1, func(w *walker, m *meter) error {
		v, err := w.commit(fh)
		m.units = float64(j.next) / (1 << 20)
		if err == nil && (len(j.verf) != 1 || !j.verf[v]) {
			err = fmt.Errorf("COMMIT: %w: the verifier is none of the %d of the WRITEs", errWrong, len(j.verf))
		}
		return err
	}); err != nil {
		return err
	}
	if err := c.written(fh, j.next); err != nil {
		return err
	}
	return c.sum("write-commit-"+size.name, 2)
}

// job is a file that is written from its beginning to its end.
type job struct {
	fh    nfsclient.FH
	total int64
	data  []byte // of each WRITE
	next  int64  // where the next one begins
	verf  map[nfsclient.Verf]bool
}

func newJob(fh nfsclient.FH, total int64, size int) *job {
	return &job{fh: fh, total: total, data: contents(make([]byte, size), seventh), verf: map[nfsclient.Verf]bool{}}
}

// write is one of the walkers that write at once.
func (j *job) write(w *walker, m *meter) error {
	for j.next < j.total && !m.overdue(w.now) {
		off := uint64(j.next)
		j.next += int64(len(j.data))
		r, err := w.write(j.fh, off, nfsclient.Unstable, j.data)
		if err != nil {
			return err
		}
		j.verf[r.Verf] = true
		m.units += float64(len(j.data)) / (1 << 20)
	}
	return nil
}

// written holds that the file is as long as what was written, and begins with it.
func (c *contender) written(fh nfsclient.FH, length int64) error {
	return c.once(func(w *walker) error {
		a, err := w.getattr(fh)
		if err == nil && a.Size != uint64(length) {
			err = fmt.Errorf("GETATTR: %w: a size of %d", errWrong, a.Size)
		}
		if err != nil {
			return err
		}
		r, err := w.read(fh, 0, page)
		if err == nil && !holds(r.Data, seventh) {
			err = fmt.Errorf("READ of what was written: %w", errWrong)
		}
		return err
	})
}

// sum makes a result of the latest n: so much in their times together.
func (c *contender) sum(row string, n int) error {
	last := c.results[len(c.results)-n:]
	all := result{row: row, units: last[0].units, before: last[0].before}
	for _, r := range last {
		all.wall += r.wall
		all.cpu += r.cpu
		all.peak = max(all.peak, r.peak)
	}
	return c.note(all)
}

func directWrite(c *contender) error {
	for _, size := range sizes() {
		f, err := os.CreateTemp(filepath.Join(c.place.plain(), scratch), "written-")
		if err != nil {
			return err
		}
		if err := errors.Join(c.writeDirectly(f, size), f.Close(), os.Remove(f.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (c *contender) writeDirectly(f *os.File, size size) error {
	data, total := contents(make([]byte, size.bytes), seventh), float64(c.scale.Write)/(1<<20)
	err := c.direct("write-"+size.name, func(m *meter) error {
		for off := int64(0); off < c.scale.Write; off += int64(size.bytes) {
			if _, err := f.Write(data); err != nil {
				return err
			}
		}
		m.units = total
		return nil
	})
	if err != nil {
		return err
	}
	if err := c.direct("commit-"+size.name, func(m *meter) error {
		m.units = total
		return f.Sync()
	}); err != nil {
		return err
	}
	return c.sum("write-commit-"+size.name, 2)
}

// runSync writes little, each time to the disk, one write after the other.
func runSync(c *contender) error {
	fh, remove, err := c.newFile("synced")
	if err != nil {
		return err
	}
	data := contents(make([]byte, 4<<10), seventh)
	return errors.Join(c.measure("sync-4k", 1, func(w *walker, m *meter) error {
		for off := 0; !m.late(w.now); off += len(data) {
			if _, err := w.write(fh, uint64(off), nfsclient.FileSync, data); err != nil {
				return err
			}
		}
		return nil
	}), remove())
}

func directSync(c *contender) error {
	f, err := os.CreateTemp(filepath.Join(c.place.plain(), scratch), "synced-")
	if err != nil {
		return err
	}
	data := contents(make([]byte, 4<<10), seventh)
	return errors.Join(c.direct("sync-4k", func(m *meter) error {
		for !m.late(time.Now()) {
			if _, err := f.Write(data); err != nil {
				return err
			}
			if err := f.Sync(); err != nil {
				return err
			}
			m.calls++
		}
		return nil
	}), f.Close(), os.Remove(f.Name()))
}

// runBeside asks for attributes while a COMMIT of much is under way on the same connection.
func runBeside(c *contender) error {
	asked, err := c.handle(dirFlat, flatName(seventh))
	if err != nil {
		return err
	}
	fh, remove, err := c.newFile("dirty")
	if err != nil {
		return err
	}
	j := newJob(fh, c.scale.Dirty, 1<<20)
	c.link.meter = &meter{deadline: time.Now()}
	if err := c.link.run(streams, func(w *walker) error { return j.write(w, c.link.meter) }); err != nil {
		return errors.Join(err, remove())
	}
	committed := false
	return errors.Join(c.measure("beside", 2, func(w *walker, m *meter) error {
		if w.slot == 0 {
			w.quiet = true
			_, err := w.commit(fh)
			committed = true
			return err
		}
		for first := true; first || !committed; first = false {
			if _, err := w.getattr(asked); err != nil {
				return err
			}
		}
		return nil
	}), remove())
}
