package du

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
)

// Options say what to count.
type Options struct {
	Layers []string // their directories
	// Path is what to count in each of them, slash-separated; "." is all.
	Path string
	// Seen is told, by any goroutine, of names that were counted and of about how many bytes. Nil is
	// fine.
	Seen func(names int, bytes uint64)
}

// Usage is what was counted. Bytes and names are by layer, in the order of Options.
type Usage struct {
	Entries []Entry  // the largest first
	Shared  []uint64 // bytes of files that several entries have
	Names   []uint64
	// Unread are directories that could not be read: the first few, and how many more there are.
	Unread []string
	More   int
}

// Entry is one name, and what is beneath it.
type Entry struct {
	// Name is relative to Options.Path. "." are directories that are no entries: that of Path itself, and
	// the store's.
	Name  string
	Bytes []uint64 // on disk
}

// Sum is the bytes of all layers.
func (e *Entry) Sum() uint64 { return Sum(e.Bytes) }

// Sum adds up what is by layer.
func Sum(byLayer []uint64) uint64 {
	var all uint64
	for _, n := range byLayer {
		all += n
	}
	return all
}

// Within is how many names there are in Options.Path, in all layers: it counts for none itself.
func (u *Usage) Within() uint64 {
	var all uint64
	for _, n := range u.Names {
		all += n - min(n, 1)
	}
	return all
}

// Total is the bytes by layer.
func (u *Usage) Total() []uint64 {
	all := slices.Clone(u.Shared)
	for i := range u.Entries {
		for layer, n := range u.Entries[i].Bytes {
			all[layer] += n
		}
	}
	return all
}

// Count counts. What is in none of the layers is fs.ErrNotExist. When ctx ends, that is the error, beside
// what was counted so far.
func Count(ctx context.Context, o Options) (*Usage, error) {
	if o.Seen == nil {
		o.Seen = func(int, uint64) {}
	}
	t := newTally(len(o.Layers))
	there := false
	for layer, dir := range o.Layers {
		err := countLayer(ctx, &o, t, layer, dir)
		if err != nil && err == ctx.Err() {
			return t.usage(), err
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		there = there || err == nil
	}
	if !there {
		return nil, &fs.PathError{Op: "count", Path: o.Path, Err: fs.ErrNotExist}
	}
	return t.usage(), nil
}

// usage is what t has come to.
func (t *tally) usage() *Usage {
	u := &Usage{Shared: t.shared, Names: t.names, Unread: t.unread, More: t.more}
	for _, e := range t.entries {
		if e.Sum() > 0 {
			u.Entries = append(u.Entries, e)
		}
	}
	slices.SortFunc(u.Entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.Sum(), a.Sum()), cmp.Compare(a.Name, b.Name))
	})
	return u
}
