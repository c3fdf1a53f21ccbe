package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// report makes figures of results: medians of the rounds, and of ratios inside a round, which
// the machine's other load moves least. What failed has no figures.
type report struct {
	found map[slot]result
	last  int // the last round
}

// slot is where a result belongs.
type slot struct {
	row, server string
	round       int
}

func newReport(results []result) *report {
	r := &report{found: map[slot]result{}}
	for _, x := range results {
		if x.err == nil && x.units > 0 {
			r.found[slot{x.row, x.server, x.round}] = x
			r.last = max(r.last, x.round)
		}
	}
	return r
}

// median gives the median over the rounds of what f makes of a server's results.
func (r *report) median(row, server string, f func(result) float64) (float64, bool) {
	return r.over(func(round int) (float64, bool) {
		x, ok := r.found[slot{row, server, round}]
		return f(x), ok
	})
}

// ratio gives the median over the rounds of what f makes of two results in it.
func (r *report) ratio(row, server, ofRow, of string, f func(result) float64) (float64, bool) {
	return r.over(func(round int) (float64, bool) {
		x, ok := r.found[slot{row, server, round}]
		y, okOf := r.found[slot{ofRow, of, round}]
		return f(x) / f(y), ok && okOf
	})
}

func (r *report) over(f func(round int) (float64, bool)) (float64, bool) {
	var all []float64
	for round := range r.last + 1 {
		if v, ok := f(round); ok {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2, true
}

func rate(x result) float64 { return x.rate() }

// value is what a row's unit says that a result comes to.
func (w *row) value(x result) float64 {
	switch w.unit {
	case millis:
		return float64(x.wall.Microseconds()) / 1e3
	case p99:
		return float64(x.p99.Microseconds()) / 1e3
	case memory:
		return x.peak
	}
	return x.rate()
}

// compares reports whether rates in a row can be compared.
func (w *row) compares() bool { return w.unit != p99 && w.unit != memory }

// cell gives a figure of the table, of nixnfsd without lower directories.
func (r *report) cell(w *row, column string) (float64, bool) {
	switch column {
	case columnValue:
		return r.median(w.key, nixnfsd, w.value)
	case columnCPU:
		v, ok := r.median(w.key, nixnfsd, func(x result) float64 { return x.cpuEach() })
		return v, ok && w.compares() && w.unit != millis
	case columnMore:
		v, ok := r.median(w.key, nixnfsd, func(x result) float64 { return x.peak - x.before })
		return v, ok && w.compares() && w.unit != millis
	case columnEcho:
		return r.ratio(w.key, nixnfsd, w.key, echo, func(x result) float64 { return float64(x.p50) })
	case columnBefore:
		before := strings.Replace(w.key, "handles", "getattr", 1)
		v, ok := r.ratio(w.key, nixnfsd, before, nixnfsd, rate)
		return v, ok && before != w.key
	}
	v, ok := r.ratio(w.key, nixnfsd, w.key, column, rate)
	return v, ok && w.compares()
}

// columns are those of the table, with their headings.
func columns() [][2]string {
	return [][2]string{
		{columnValue, "nixnfsd"},
		{columnCPU, "CPU, µs"},
		{goNFS, "of go-nfs"},
		{ganesha, "of ganesha"},
		{limit, "of the limit"},
		{system, "of system calls"},
		{columnEcho, "p50 of the echo's"},
		{columnBefore, "of itself before"},
		{overOne, "1 lower costs"},
		{overMany, "5 lowers cost"},
		{columnMore, "memory +MiB"},
	}
}

// print prints the table of ratios, which marks the targets, and one of each contender's figures.
func (r *report) print(out io.Writer, failed map[failure]error) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "workload")
	for _, c := range columns() {
		fmt.Fprint(w, "\t", c[1])
	}
	fmt.Fprintln(w)
	met, missed := 0, 0
	for _, row := range rows() {
		if _, ok := r.cell(&row, columnValue); !ok {
			continue
		}
		fmt.Fprint(w, row.title)
		for _, c := range columns() {
			text, isMet, isMissed := r.text(&row, c[0])
			met, missed = met+isMet, missed+isMissed
			fmt.Fprint(w, "\t", text)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d targets met, %d missed, %d not measured.\n\n", met, missed, len(targets())-met-missed)
	r.printEach(out)
	for f, err := range failed {
		fmt.Fprintf(out, "failed: %s: %s: %v\n", f.contender, f.workload, err)
	}
	return nil
}

// text is a cell's text: its figure, and how it stands to its target.
func (r *report) text(w *row, column string) (text string, met, missed int) {
	v, ok := r.cell(w, column)
	if !ok {
		return "", 0, 0
	}
	text = figure(v)
	if column == columnValue {
		text += " " + w.per()
	}
	all := targets()
	i := slices.IndexFunc(all, func(t target) bool { return t.row == w.key && t.column == column })
	switch {
	case i < 0:
		return text, 0, 0
	case all[i].met(v):
		return text + " ✓", 1, 0
	}
	return fmt.Sprintf("%s ✗ (%s)", text, figure(all[i].bound)), 0, 1
}

// per is the unit of a row's value.
func (w *row) per() string {
	switch w.unit {
	case millis, p99:
		return "ms"
	case memory:
		return "MiB"
	}
	return w.unit + "/s"
}

// figure writes three digits.
func figure(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.0fk", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// printEach prints each contender's value, and its processor time and most memory.
func (r *report) printEach(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "each: value, CPU in µs, most memory in MiB\t"+strings.Join(contenders(), "\t"))
	for _, row := range rows() {
		cells, any := []string{row.title + ", " + row.per()}, false
		for _, name := range contenders() {
			v, ok := r.median(row.key, name, row.value)
			text := ""
			if ok {
				any, text = true, figure(v)
			}
			if ok && name != system && row.compares() && row.unit != millis {
				cpu, _ := r.median(row.key, name, func(x result) float64 { return x.cpuEach() })
				mem, _ := r.median(row.key, name, func(x result) float64 { return x.peak })
				text += fmt.Sprintf("  %s  %.0f", figure(cpu), mem)
			}
			cells = append(cells, text)
		}
		if any {
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
	}
	_ = w.Flush() // the table before it went well
}
