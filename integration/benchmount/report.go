package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// report makes tables of rounds: medians, and medians of ratios inside a round, which the
// machine's other load moves least.
type report struct{ rounds []results }

// print prints the tables as Markdown.
func (r *report) print(out io.Writer, command string) error {
	_, err := fmt.Fprintf(out, "%s\n\nSeconds, and how many times as fast nixnfsd is\n\n%s\nThe servers' processor time in seconds\n\n%s\nCalls\n\n%s",
		command, r.times(), r.processor(), r.calls())
	return err
}

// times is the table of times and of ratios.
func (r *report) times() string {
	names := r.contenders()
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == nixnfsd })
	head := append([]string{"operation"}, names...)
	for _, other := range others {
		head = append(head, "of "+other)
	}
	t := newTable(head)
	for _, op := range r.operations() {
		cells := []string{op.title}
		for _, name := range names {
			cells = append(cells, fmt.Sprintf("%.1f", r.median(op.name, name, func(x result) float64 { return x.Seconds })))
		}
		for _, other := range others {
			cells = append(cells, fmt.Sprintf("%.2f", r.ratio(op.name, other)))
		}
		t.row(cells)
	}
	return t.String()
}

// processor is the table of the servers' processor time.
func (r *report) processor() string {
	names := slices.DeleteFunc(r.contenders(), func(name string) bool { return name == ext4 })
	t := newTable(append([]string{"operation"}, names...))
	for _, op := range r.operations() {
		cells := []string{op.title}
		for _, name := range names {
			cells = append(cells, fmt.Sprintf("%.2f", r.median(op.name, name, func(x result) float64 { return x.CPU })))
		}
		t.row(cells)
	}
	return t.String()
}

// calls is the table of how many calls there were, and of the procedures that took the most time.
func (r *report) calls() string {
	names := slices.DeleteFunc(r.contenders(), func(name string) bool { return name == ext4 })
	t := newTable([]string{"operation", "server", "calls", "waited, s", "number and mean µs of each"})
	for _, op := range r.operations() {
		for _, name := range names {
			t.row(append([]string{op.title, name}, callCells(r.first(op.name, name).Calls)...))
		}
	}
	return t.String()
}

func callCells(byProcedure map[string]calls) []string {
	var all calls
	procedures := slices.SortedFunc(maps.Keys(byProcedure), func(a, b string) int {
		return int(byProcedure[b].Count - byProcedure[a].Count)
	})
	var each []string
	for _, p := range procedures {
		c := byProcedure[p]
		all.Count, all.RTT = all.Count+c.Count, all.RTT+c.RTT
		if c.Count >= 20 {
			each = append(each, fmt.Sprintf("%s %.0f: %.0f", p, c.Count, c.RTT/c.Count*1e6))
		}
	}
	return []string{fmt.Sprintf("%.0f", all.Count), fmt.Sprintf("%.2f", all.RTT), strings.Join(each, ", ")}
}

// contenders and operations are those that were measured, in the order of the tables.
func (r *report) contenders() []string {
	return slices.DeleteFunc(contenderNames(), func(name string) bool {
		return !slices.ContainsFunc(r.rounds[0], func(x result) bool { return x.Contender == name })
	})
}

func (r *report) operations() []operation {
	return slices.DeleteFunc(allOperations(), func(op operation) bool {
		return !slices.ContainsFunc(r.rounds[0], func(x result) bool { return x.Operation == op.name })
	})
}

// first is a result of the first round, of which there is one in each.
func (r *report) first(op, name string) result { return r.rounds[0].of(op, name) }

func (rs results) of(op, name string) result {
	i := slices.IndexFunc(rs, func(x result) bool { return x.Operation == op && x.Contender == name })
	return rs[i]
}

func (r *report) median(op, name string, f func(result) float64) float64 {
	return r.over(func(rs results) float64 { return f(rs.of(op, name)) })
}

// ratio says how many times as fast as another nixnfsd is.
func (r *report) ratio(op, other string) float64 {
	return r.over(func(rs results) float64 { return rs.of(op, other).Seconds / rs.of(op, nixnfsd).Seconds })
}

func (r *report) over(f func(results) float64) float64 {
	var all []float64
	for _, rs := range r.rounds {
		all = append(all, f(rs))
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// table is one in Markdown.
type table struct{ strings.Builder }

func newTable(head []string) *table {
	t := &table{}
	t.row(head)
	fmt.Fprintf(t, "|---|%s\n", strings.Repeat("--:|", len(head)-1))
	return t
}

func (t *table) row(cells []string) { fmt.Fprintf(t, "| %s |\n", strings.Join(cells, " | ")) }
