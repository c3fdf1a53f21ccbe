package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// place is where the trees are that servers serve: on a disk, for what is looked up, read,
// written and synced, or in memory, for making and removing many files, which on some
// file systems depends on what was removed before.
type place struct {
	dir  string
	disk bool
}

// manyLowers is how many lower directories the server with many has.
const manyLowers = 5

// plain is the tree in one directory, for servers without layers.
func (p *place) plain() string { return filepath.Join(p.dir, "plain") }

// upper is that of a nixnfsd over so many lowers.
func (p *place) upper(lowers int) string {
	if lowers == 0 {
		return p.plain()
	}
	return filepath.Join(p.dir, fmt.Sprint("upper-over-", lowers))
}

// state is the state directory of a nixnfsd over so many lowers.
func (p *place) state(lowers int) string { return p.upper(lowers) + ".state" }

// lowers are so many directories that hold the tree together.
func (p *place) lowers(n int) (dirs []string) {
	for i := range n {
		dirs = append(dirs, filepath.Join(p.dir, fmt.Sprintf("lower-%d-of-%d", i+1, n)))
	}
	return dirs
}

// fill makes the trees: whole on a disk, and in memory only the directory to write in.
func (p *place) fill(s *scale) error {
	if !p.disk {
		s = &scale{}
	}
	for _, n := range []int{0, 1, manyLowers} {
		dirs := p.lowers(n)
		if n == 0 {
			dirs = []string{p.plain()}
		}
		for _, dir := range append(dirs, p.upper(n)) {
			if err := os.MkdirAll(filepath.Join(dir, scratch), 0o755); err != nil {
				return err
			}
		}
		if err := makeTree(s, dirs...); err != nil {
			return fmt.Errorf("make a tree in %s: %w", p.dir, err)
		}
	}
	return nil
}

// diskPlace gives the trees beneath dir, and makes them where they are missing: that takes a
// minute, so they are kept.
func diskPlace(dir string, s *scale, log io.Writer) (*place, error) {
	p := &place{dir: filepath.Join(dir, fmt.Sprintf("tree-%d-%d", s.handles(), s.Read>>20)), disk: true}
	if _, err := os.Stat(p.dir); err == nil {
		return p, nil
	}
	fmt.Fprintf(log, "bench: making trees in %s, which are kept\n", p.dir)
	fresh := &place{dir: p.dir + ".new", disk: true}
	err := errors.Join(os.RemoveAll(fresh.dir), os.MkdirAll(dir, 0o755))
	if err == nil {
		err = fresh.fill(s)
	}
	if err != nil {
		return nil, err
	}
	return p, os.Rename(fresh.dir, p.dir)
}

// memoryPlace makes a place that is in memory where the system has a directory for that.
// Its end is the caller's to make.
func memoryPlace(s *scale) (*place, error) {
	dir, err := os.MkdirTemp("/dev/shm", "nixnfsd-bench-")
	if err != nil {
		dir, err = os.MkdirTemp("", "nixnfsd-bench-")
	}
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir}
	return p, p.fill(s)
}
