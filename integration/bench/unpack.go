package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// unpackPerDir is how many files an unpacked directory has.
const unpackPerDir = 50

// runUnpack makes directories of files as Nix does when it adds to a store, and removes them.
func runUnpack(c *contender) error {
	base, err := c.handle(scratch)
	if err != nil {
		return err
	}
	for _, walkers := range []int{1, 8} {
		var top nfsclient.FH
		name := fmt.Sprint("unpacked-", walkers, "-by-", c.name)
		if err := c.once(func(w *walker) error {
			top, err = w.mkdir(base, name)
			return err
		}); err != nil {
			return err
		}
		made, err := c.unpack(walkers, top)
		if err == nil {
			err = c.removeAll(walkers, top, made)
		}
		if err == nil {
			err = c.once(func(w *walker) error { return w.rmdir(base, name) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unpack makes directories until the time is over, and gives how many.
func (c *contender) unpack(walkers int, top nfsclient.FH) (made int, err error) {
	data := contents(make([]byte, 8<<10), seventh)
	err = c.measure(fmt.Sprint("unpack-", walkers), walkers, func(w *walker, m *meter) error {
		for made*unpackPerDir < c.scale.Unpack && !m.late(w.now) {
			d := made
			made++
			dir, err := w.mkdir(top, flatName(d))
			for i := 0; i < unpackPerDir && err == nil; i++ {
				err = w.unpackFile(dir, i, data[:evalSize(i)])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return made, err
}

func (w *walker) unpackFile(dir nfsclient.FH, i int, data []byte) error {
	fh, err := w.create(dir, flatName(i))
	if err == nil {
		_, err = w.write(fh, 0, nfsclient.Unstable, data)
	}
	if err == nil {
		err = w.seal(fh)
	}
	return err
}

// removeAll removes what unpack made, and holds that it was all there.
func (c *contender) removeAll(walkers int, top nfsclient.FH, made int) error {
	next := 0
	return c.measure(fmt.Sprint("remove-", walkers), walkers, func(w *walker, _ *meter) error {
		for next < made {
			d := next
			next++
			dir, err := w.walk(top, flatName(d))
			for i := 0; i < unpackPerDir && err == nil; i++ {
				err = w.remove(dir, flatName(i))
			}
			if err == nil {
				err = w.rmdir(top, flatName(d))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// directUnpack counts a file as the three calls that it takes over NFS.
func directUnpack(c *contender) error {
	top, err := os.MkdirTemp(filepath.Join(c.place.plain(), scratch), "unpacked-")
	if err != nil {
		return err
	}
	data, made := contents(make([]byte, 8<<10), seventh), 0
	err = c.direct("unpack-1", func(m *meter) error {
		for ; made*unpackPerDir < c.scale.Unpack && !m.late(time.Now()); made++ {
			dir := filepath.Join(top, flatName(made))
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
			for i := range unpackPerDir {
				if err := unpackDirectly(filepath.Join(dir, flatName(i)), data[:evalSize(i)]); err != nil {
					return err
				}
			}
			m.calls += 1 + 3*unpackPerDir
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = c.direct("remove-1", func(m *meter) error {
		for d := range made {
			dir := filepath.Join(top, flatName(d))
			for i := range unpackPerDir {
				if err := unix.Unlink(filepath.Join(dir, flatName(i))); err != nil {
					return err
				}
			}
			m.calls += 2 + unpackPerDir // a look-up, and one each
			if err := unix.Rmdir(dir); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, os.Remove(top))
}

func unpackDirectly(path string, data []byte) error {
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, data); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, 0o444); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Sec: 1}, {Sec: 1}}, 0)
}
