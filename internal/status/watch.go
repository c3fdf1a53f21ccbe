package status

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/units"
	"github.com/nixnfsd/nixnfsd/nfs"
)

// every is the time between two looks.
const every = time.Second

// Watch looks again and again and shows what it sees, until ctx ends, which is no error.
func Watch(ctx context.Context, look func(context.Context) (Report, error), show func(*History) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var h History
	for {
		r, err := look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		h.Add(r)
		if err := show(&h); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ToLines shows each look as a line behind a heading, for who reads them later.
func ToLines(w io.Writer) func(*History) error {
	const layout = "%-9s%-17s%9s%9s%12s%12s%9s%9s%8s%8s%12s\n"
	begun := false
	return func(h *History) error {
		if !begun {
			begun = true
			if _, err := fmt.Fprintf(w, layout, "time", "state", "calls/s", "failed/s", "read/s", "written/s", "p50", "p99", "clients", "files", "memory"); err != nil {
				return err
			}
		}
		r, v := &h.looks[len(h.looks)-1], h.view()
		if v == nil {
			_, err := fmt.Fprintf(w, "%-9s%s\n", time.Now().Format(time.TimeOnly), r.State)
			return err
		}
		if v.over == 0 { // since the start
			v.before, v.over = v.Snapshot, every
		}
		t := v.total()
		_, err := fmt.Fprintf(w, layout, v.Taken.Format(time.TimeOnly), r.State, units.Count(t.calls), units.Count(t.errors),
			bytesOf(v.data("READ")), bytesOf(v.data("WRITE")), t.quantile(nfs.PhaseAll, 0.5), t.quantile(nfs.PhaseAll, 0.99),
			fmt.Sprint(v.NFS.Connections), fmt.Sprint(v.Overlay.OpenFiles), units.Bytes(v.Memory))
		return err
	}
}

// ToJSON shows each look as a line of JSON.
func ToJSON(w io.Writer) func(*History) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return func(h *History) error { return enc.Encode(&h.looks[len(h.looks)-1]) }
}
