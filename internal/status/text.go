package status

import (
	"fmt"
	"math"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/metrics"
	"github.com/nixnfsd/nixnfsd/internal/terminal"
	"github.com/nixnfsd/nixnfsd/internal/units"
	"github.com/nixnfsd/nixnfsd/nfs"
)

// Lines shows the last look. They are cut off at so many columns; 0 is no bound.
func (h *History) Lines(columns int) []string {
	r, v := &h.looks[len(h.looks)-1], h.view()
	lines := r.head()
	if v != nil {
		lines = append(append(lines, ""), v.numbers()...)
		if rows := v.rows(); len(rows) > 0 {
			lines = append(append(lines, ""), v.table(rows, columns)...)
		}
	}
	for i := range lines {
		lines[i] = fit(lines[i], columns)
	}
	return lines
}

// label begins a line.
func label(name, format string, args ...any) string {
	return fmt.Sprintf("%-9s ", name) + fmt.Sprintf(format, args...)
}

// head is what runs.
func (r *Report) head() []string {
	lines := []string{label("state", "%s", r.Summary), label("server", "%s", r.server())}
	if r.Mount != nil {
		lines = append(lines, label("mount", "%s on %s, type %s", r.Mount.From, r.MountPoint, r.Mount.Type))
	}
	lines = append(lines, label("keeper", "%s", &r.Keeper))
	for _, l := range r.Layers {
		lines = append(lines, label(l.Kind, "%s: %s, %s of %s free", l.Path, l.FileSystem, units.Bytes(l.AvailBytes), units.Bytes(l.TotalBytes)))
		for _, p := range l.Problems {
			lines = append(lines, label("", "problem: %s", p.What), label("", "   mend: %s", p.Mend))
		}
	}
	return lines
}

func (r *Report) server() string {
	if s := r.Stats; s != nil {
		return fmt.Sprintf("process %d, %s, up %s, on %s as %s", s.PID, s.Version, units.Age(s.Taken.Sub(s.Started)), s.Address, s.Export)
	}
	return r.Server.State.explain(r.Server.Error)
}

// explain says it in words, and why.
func (p Presence) explain(err string) string {
	words := map[Presence]string{Running: "runs", NotRunning: "does not run", Silent: "gives no answer", NotYours: "is another user's"}[p]
	if err == "" {
		return words
	}
	return words + ": " + err
}

// String says what the keeper sees and wants.
func (k *Keeper) String() string {
	if k.Seen == nil {
		return k.State.explain(k.Error)
	}
	server := map[string]string{"own": "the server answers", "gone": "no server answers", "stranger": "another user has the address"}[k.Seen.Server]
	point := map[string]string{"mounted": "mounted", "not-mounted": "not mounted", "stale": "the mount is stale", "foreign": "something else is mounted"}[k.Seen.Mount]
	text := fmt.Sprintf("runs for uid %d: %s, %s", k.Seen.Owner, server, point)
	if k.Seen.Away {
		text += " (nixnfsd umount)"
	}
	return text
}

// numbers are those of the server as a whole.
func (v *view) numbers() []string {
	s, o, a, t := &v.NFS, &v.Overlay, v.per(), v.total()
	lines := []string{
		label("calls", "%s%s, %s%s failed, %d sent again, %d rejected", units.Count(t.calls), a, units.Count(t.errors), a, s.Repeated, s.Rejected),
		label("data", "read %s%s, written %s%s", bytesOf(v.data("READ")), a, bytesOf(v.data("WRITE")), a),
		label("network", "in %s%s, out %s%s", bytesOf(v.rate(s.Received, v.before.NFS.Received)), a, bytesOf(v.rate(s.Sent, v.before.NFS.Sent)), a),
		label("clients", "%d connected, %d busy, %d refused; %d calls at the disk", s.Connections, s.Busy, s.Refused, s.Workers),
		label("caches", "%s", v.caches()),
		label("memory", "%s; %d objects, %d open files, listings %s", units.Bytes(v.Memory), o.Objects, o.OpenFiles, units.Bytes(uint64(o.ListingBytes))),
	}
	if o.CopyUps > 0 || o.Copying > 0 {
		lines = append(lines, label("copy-ups", "%d, %s; %d under way", o.CopyUps, units.Bytes(o.CopiedBytes), o.Copying))
	}
	return lines
}

// per is what a number is of.
func (v *view) per() string {
	if v.over == 0 {
		return ""
	}
	return "/s"
}

func bytesOf(f float64) string { return units.Bytes(uint64(f)) }

func (v *view) caches() string {
	files := v.percent(func(s *metrics.Snapshot) (uint64, uint64) { return s.Overlay.FileHits, s.Overlay.FileMisses })
	listings := v.percent(func(s *metrics.Snapshot) (uint64, uint64) { return s.Overlay.ListingHits, s.Overlay.ListingMisses })
	return fmt.Sprintf("open files %s, listings %s hit; %s%s objects made again", files, listings, units.Count(v.rate(v.Overlay.Loaded, v.before.Overlay.Loaded)), v.per())
}

func (v *view) percent(count func(*metrics.Snapshot) (hits, misses uint64)) string {
	if p, ok := v.share(count); ok {
		return fmt.Sprintf("%.1f %%", p)
	}
	return "–"
}

const (
	tableWidth = 12 + 10 + 9 + 2*9 + 11 + 2*9 // columns
	// Bars get what is left, if that is enough to tell them apart.
	minBar, maxBar = 10, 100
)

// table has half of the calls, and 99 of 100, be answered within p50 and p99, and shows what the
// slowest ones wait for.
func (v *view) table(rows []row, columns int) []string {
	per := v.per()
	lines := []string{fmt.Sprintf("%-12s%10s%9s%9s%9s%11s%9s%9s", "procedure", "calls"+per, "failed"+per, "p50", "p99", "p99 queue", "run", "write")}
	most := 0.0
	for _, r := range rows {
		most = max(most, r.calls)
	}
	for _, r := range append(rows, v.total()) {
		line := fmt.Sprintf("%-12s%10s%9s", r.name, units.Count(r.calls), units.Count(r.errors))
		line += fmt.Sprintf("%9s%9s%11s%9s%9s", r.quantile(nfs.PhaseAll, 0.5), r.quantile(nfs.PhaseAll, 0.99),
			r.quantile(nfs.PhaseQueue, 0.99), r.quantile(nfs.PhaseRun, 0.99), r.quantile(nfs.PhaseWrite, 0.99))
		if r.name != "all" {
			line += bar(r.calls/most, columns-tableWidth)
		}
		lines = append(lines, line)
	}
	return lines
}

// bar is as long as the part of the largest one that it stands for.
func bar(part float64, room int) string {
	if room -= 2; room < minBar || math.IsNaN(part) {
		return ""
	}
	return "  " + strings.Repeat("█", int(part*float64(min(room, maxBar))+0.5))
}

// quantile is empty where no call was timed.
func (r *row) quantile(phase nfs.Phase, q float64) string {
	if h := &r.latency[phase]; h.Count() > 0 {
		return units.Duration(h.Quantile(q))
	}
	return "–"
}

// fit cuts a line off, and has nothing in it that a terminal would obey.
func fit(line string, columns int) string {
	line = terminal.Plain(line)
	if columns == 0 {
		return line
	}
	return terminal.Cut(line, columns)
}
