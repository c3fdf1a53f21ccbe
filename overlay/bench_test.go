package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// benched is an overlay of so many lower directories, the last of which, or else the upper,
// holds d with a file f of 1 MiB, a symbolic link l and a directory s with 1000 files.
type benched struct {
	*overlay.FS
	dir, file, link, store overlay.ID
}

func newBenched(b *testing.B, lowers int) *benched {
	b.Helper()
	top := b.TempDir()
	o := overlay.Options{Upper: filepath.Join(top, "upper"), State: filepath.Join(top, "state")}
	last := o.Upper
	for i := range lowers {
		last = filepath.Join(top, fmt.Sprint("lower", i))
		o.Lowers = append(o.Lowers, last)
	}
	for _, dir := range append(o.Lowers, o.Upper) {
		check(b, os.MkdirAll(filepath.Join(dir, "d", "s"), 0o755))
	}
	check(b, os.WriteFile(filepath.Join(last, "d", "f"), make([]byte, 1<<20), 0o644))
	check(b, os.Symlink("target", filepath.Join(last, "d", "l")))
	for i := range 1000 {
		check(b, os.WriteFile(filepath.Join(last, "d", "s", fmt.Sprint("file-", i)), nil, 0o644))
	}
	fs, err := overlay.Open(o)
	check(b, err)
	b.Cleanup(func() { check(b, fs.Close()) })
	x := &benched{FS: fs}
	x.dir = x.find(b, fs.Root(), "d")
	x.file, x.link, x.store = x.find(b, x.dir, "f"), x.find(b, x.dir, "l"), x.find(b, x.dir, "s")
	return x
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (x *benched) find(b *testing.B, dir overlay.ID, name string) overlay.ID {
	b.Helper()
	var a, d overlay.Attr
	_, err := x.Lookup(worker, dir, []byte(name), &a, &d)
	check(b, err)
	return a.ID
}

// benchmarks are operations that leave everything as it was.
func (x *benched) benchmarks() map[string]func() error {
	var a, d overlay.Attr
	var w, w2 overlay.Change
	buf, name := make([]byte, 1<<20), []byte("new")
	read := func(n int) func() error {
		return func() error { _, _, err := x.Read(worker, x.file, buf[:n], 0, &a); return err }
	}
	return map[string]func() error{
		"Getattr":     func() error { return x.Getattr(x.file, &a) },
		"Lookup":      func() error { _, err := x.Lookup(worker, x.dir, []byte("f"), &a, &d); return err },
		"Readlink":    func() error { _, err := x.Readlink(x.link, buf[:0], &a); return err },
		"Read 4 KiB":  read(4 << 10),
		"Read 64 KiB": read(64 << 10),
		"Read 1 MiB":  read(1 << 20),
		"Create and Remove": func() error {
			if err := x.Create(worker, x.dir, name, &overlay.CreateHow{Mode: overlay.Guarded}, &a, &w); err != nil {
				return err
			}
			return x.Remove(worker, x.dir, name, &w)
		},
		"Mkdir and Rmdir": func() error {
			if err := x.Mkdir(worker, x.dir, name, &overlay.SetAttr{}, &a, &w); err != nil {
				return err
			}
			return x.Rmdir(worker, x.dir, name, &w)
		},
		"Create, Rename and Remove": func() error {
			if err := x.Create(worker, x.dir, name, &overlay.CreateHow{Mode: overlay.Guarded}, &a, &w); err != nil {
				return err
			}
			if err := x.Rename(worker, x.dir, name, x.dir, []byte("renamed"), &w, &w2); err != nil {
				return err
			}
			return x.Remove(worker, x.dir, []byte("renamed"), &w)
		},
		"Readdir of 1000": func() error {
			_, err := x.Readdir(worker, x.store, 0, true, &a, func(*overlay.DirEntry) bool { return true })
			return err
		},
	}
}

// written are operations on a file of the upper's.
func (x *benched) written(file overlay.ID) map[string]func() error {
	var w overlay.Change
	data := make([]byte, 64<<10)
	write := func(n int, how overlay.Stability) func() error {
		return func() error { return x.Write(worker, file, data[:n], 0, how, &w) }
	}
	return map[string]func() error{
		"Write 4 KiB":            write(4<<10, overlay.Unstable),
		"Write 64 KiB":           write(64<<10, overlay.Unstable),
		"Write 4 KiB, FILE_SYNC": write(4<<10, overlay.FileSync),
		"Write 4 KiB and Commit": func() error {
			if err := write(4<<10, overlay.Unstable)(); err != nil {
				return err
			}
			return x.Commit(worker, file, 0, 0, &w)
		},
		"Setattr": func() error {
			return x.Setattr(worker, file, &overlay.SetAttr{SetMtime: overlay.ServerTime}, &w)
		},
	}
}

// BenchmarkOperations is each operation without, with one and with five lower directories.
func BenchmarkOperations(b *testing.B) {
	for _, lowers := range []int{0, 1, 5} {
		x := newBenched(b, lowers)
		var a overlay.Attr
		var w overlay.Change
		check(b, x.Create(worker, x.Root(), []byte("written"), &overlay.CreateHow{Mode: overlay.Guarded}, &a, &w))
		for _, group := range []map[string]func() error{x.benchmarks(), x.written(a.ID)} {
			for name, do := range group {
				b.Run(fmt.Sprintf("%s/lowers=%d", name, lowers), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						check(b, do())
					}
				})
			}
		}
	}
}
