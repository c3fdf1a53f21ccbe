package layers

import (
	"fmt"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/units"
)

// Text is a refresh's result, or all layers; the problems in any case.
func (r *Report) Text() string {
	var b strings.Builder
	if f := r.Refreshed; f != nil {
		fmt.Fprintf(&b, "refreshed: %d of %d known directories changed\n", len(f.Changed)+f.More, f.Directories)
	}
	for _, l := range r.Layers {
		if r.Refreshed == nil || len(l.Problems) > 0 {
			fmt.Fprintf(&b, "%s %s\n", l.Kind, l.Path)
		}
		if r.Refreshed == nil {
			fmt.Fprintf(&b, "  file system: %s, %s of %s free\n", l.FileSystem, units.Bytes(l.AvailBytes), units.Bytes(l.TotalBytes))
			b.WriteString(l.Usage.text())
		}
		for _, p := range l.Problems {
			fmt.Fprintf(&b, "  problem: %s\n     mend: %s\n", p.What, p.Mend)
		}
	}
	return b.String()
}

func (u *Usage) text() string {
	switch {
	case u == nil:
		return ""
	case u.Complete:
		return fmt.Sprintf("  holds: %s, %s\n", units.Things(u.Names, "name"), units.Bytes(u.Bytes))
	}
	return fmt.Sprintf("  holds: at least %s, %s: not all could be counted in %s\n", units.Things(u.Names, "name"), units.Bytes(u.Bytes), CountTime)
}
