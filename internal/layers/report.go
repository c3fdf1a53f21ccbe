// Package layers makes what "nixnfsd layers" shows: the directories that a server merges, how they are
// and what they hold.
package layers

import (
	"context"
	"sync"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/du"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// CountTime is how long names and bytes are counted.
const CountTime = 2 * time.Second

// Report is what is shown, and the JSON of it.
type Report struct {
	SchemaVersion int                `json:"schemaVersion"`
	Layers        []Layer            `json:"layers"`
	Refreshed     *overlay.Refreshed `json:"refreshed,omitempty"`
}

// Layer is one layer.
type Layer struct {
	overlay.Layer
	Usage *Usage `json:"usage,omitempty"` // nil: not counted
}

// Usage is what a layer itself takes: the names in its directory, marks and hidden
// files among them, and what they hold on disk. A file with several names counts once.
type Usage struct {
	Names uint64 `json:"names"`
	Bytes uint64 `json:"bytes"` // on disk
	// Complete is false where the count was cut short, or a directory could not be
	// read: it is the least that there is.
	Complete bool `json:"complete"`
}

// New makes a report of what the server says; refreshed is nil where it was not told to look anew.
func New(all []overlay.Layer, refreshed *overlay.Refreshed) *Report {
	r := &Report{SchemaVersion: 1, Refreshed: refreshed}
	for _, l := range all {
		r.Layers = append(r.Layers, Layer{Layer: l})
	}
	return r
}

// Count counts all layers at once, for CountTime at most.
func (r *Report) Count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, CountTime)
	defer cancel()
	var wg sync.WaitGroup
	for i := range r.Layers {
		wg.Go(func() { r.Layers[i].Usage = count(ctx, r.Layers[i].Path) })
	}
	wg.Wait()
}

// count counts a directory until ctx ends. That one cannot be counted is one of the problems that the
// server tells.
func count(ctx context.Context, dir string) *Usage {
	u, err := du.Count(ctx, du.Options{Layers: []string{dir}, Path: "."})
	if u == nil {
		return nil
	}
	return &Usage{Names: u.Within(), Bytes: du.Sum(u.Total()), Complete: err == nil && len(u.Unread) == 0}
}

// Problems reports whether anything is wrong with a layer.
func (r *Report) Problems() bool {
	for _, l := range r.Layers {
		if len(l.Problems) > 0 {
			return true
		}
	}
	return false
}
