package main

import (
	"fmt"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// runWalk walks very many files as find does, for the memory that the server has then.
func runWalk(c *contender) error {
	const walkers = 8
	if err := makeWalk(&c.scale, c.place.plain()); err != nil {
		return err
	}
	top, err := c.handle(dirWalk)
	if err != nil {
		return err
	}
	next := 0
	return c.measure("walk", walkers, func(w *walker, m *meter) error {
		for next*walkPerDir < c.scale.Walk {
			d, seen := next, 0
			next++
			dir, err := w.walk(top, flatName(d))
			if err == nil {
				err = w.list(dir, func(*nfsclient.EntryPlus) { seen++ }, always)
			}
			if err == nil && seen != walkPerDir {
				err = fmt.Errorf("READDIRPLUS: %w: %d names instead of %d", errWrong, seen, walkPerDir)
			}
			if err != nil {
				return err
			}
			m.units += float64(seen)
		}
		return nil
	})
}

func always() bool { return true }
