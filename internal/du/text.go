package du

import (
	"fmt"
	"strings"

	"github.com/rivo/uniseg"

	"github.com/nixnfsd/nixnfsd/internal/terminal"
	"github.com/nixnfsd/nixnfsd/internal/units"
)

// Table is how a Usage is shown.
type Table struct {
	Path   string   // what was counted, as its user knows it
	Kinds  []string // of the layers, such as "upper"
	Layers []string // their directories
	Top    int      // how many entries are shown; 0 is all
	// Width is the columns of the terminal. 0 is no terminal: names are whole.
	Width int
}

const (
	// usual is the width where there is no terminal.
	usual = 80
	// sizeWidth is the widest size: "1023.9 GiB", "1023 bytes".
	sizeWidth = 10
	// mostBar is wide enough to compare lengths.
	mostBar = 60
)

// glyphs are what the layers' parts of a bar are made of; further layers begin anew.
const glyphs = "█▓▒░"

// row is a line, with a bar where it is about one entry: what is together would make all others short.
type row struct {
	name  string
	bytes []uint64
	bar   bool
}

// Text shows u.
func (t *Table) Text(u *Usage) string {
	var b strings.Builder
	total := u.Total()
	fmt.Fprintf(&b, "%s: %s on disk, %s\n", terminal.Plain(t.Path), units.Bytes(Sum(total)), units.Things(Sum(u.Names), "name"))
	for i, dir := range t.Layers {
		head := fmt.Sprintf("%*s  %s %s ", sizeWidth, units.Bytes(total[i]), glyph(i), t.Kinds[i])
		b.WriteString(head + t.fit(dir, uniseg.StringWidth(head)) + "\n")
	}
	if len(u.Entries) > 0 {
		b.WriteByte('\n')
		for _, r := range t.rows(u) {
			b.WriteString(t.line(r, u.Entries[0].Sum()))
		}
	}
	b.WriteString(t.unread(u))
	return b.String()
}

// rows are the entries that are shown, and what is not in them.
func (t *Table) rows(u *Usage) []row {
	shown := t.shown(u)
	var rows []row
	for _, e := range u.Entries[:shown] {
		name := e.Name
		if name == "." {
			name = "(the directory itself)"
		}
		rows = append(rows, row{name, e.Bytes, true})
	}
	if rest := u.rest(shown); shown < len(u.Entries) {
		rows = append(rows, row{name: fmt.Sprintf("(%d more)", len(u.Entries)-shown), bytes: rest})
	}
	if Sum(u.Shared) > 0 {
		rows = append(rows, row{name: "(shared by several)", bytes: u.Shared})
	}
	return rows
}

// shown is how many entries are.
func (t *Table) shown(u *Usage) int {
	if t.Top == 0 {
		return len(u.Entries)
	}
	return min(len(u.Entries), t.Top)
}

// rest is the bytes of the entries behind the first ones, by layer.
func (u *Usage) rest(first int) []uint64 {
	rest := make([]uint64, len(u.Shared))
	for _, e := range u.Entries[first:] {
		for layer, n := range e.Bytes {
			rest[layer] += n
		}
	}
	return rest
}

// line is a size, a bar and a name.
func (t *Table) line(r row, largest uint64) string {
	width := min(t.width()/4, mostBar)
	b := ""
	if r.bar {
		b = bar(r.bytes, largest, width)
	}
	b += strings.Repeat(" ", width-uniseg.StringWidth(b))
	return fmt.Sprintf("%*s  %s  %s\n", sizeWidth, units.Bytes(Sum(r.bytes)), b, t.fit(r.name, sizeWidth+2+width+2))
}

func (t *Table) width() int {
	if t.Width == 0 {
		return usual
	}
	return t.Width
}

// bar is as long as bytes are of the largest, with a part for each layer.
func bar(bytes []uint64, largest uint64, width int) string {
	var b strings.Builder
	var before uint64
	done := 0
	for layer, n := range bytes {
		before += n
		end := int(float64(before)/float64(max(largest, 1))*float64(width) + 0.5)
		b.WriteString(strings.Repeat(glyph(layer), end-done))
		done = end
	}
	return b.String()
}

func glyph(layer int) string {
	all := []rune(glyphs)
	return string(all[layer%len(all)])
}

// fit has a name fit the line behind what is used of it, and shows what a terminal would act upon as "?".
func (t *Table) fit(name string, used int) string {
	name = terminal.Plain(name)
	if t.Width == 0 {
		return name
	}
	return shorten(name, max(t.Width-used, 1))
}

// shorten takes out of the middle of a name what is too much. Both ends tell names of a
// store apart.
func shorten(name string, width int) string {
	if uniseg.StringWidth(name) <= width {
		return name
	}
	const gap = "…"
	head, tail := (width-1)/2, width-1-(width-1)/2
	return terminal.Cut(name, head) + gap + last(name, tail)
}

// last is as much of the end as fits.
func last(s string, width int) string {
	state := -1
	for uniseg.StringWidth(s) > width {
		_, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
	}
	return s
}

// unread says what is missing.
func (t *Table) unread(u *Usage) string {
	var b strings.Builder
	for _, dir := range u.Unread {
		fmt.Fprintf(&b, "not read, and not counted: %s\n", t.fit(dir, len("not read, and not counted: ")))
	}
	if u.More > 0 {
		fmt.Fprintf(&b, "nor %d more\n", u.More)
	}
	return b.String()
}
