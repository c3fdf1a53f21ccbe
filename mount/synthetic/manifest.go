package synthetic

import (
	"fmt"
	"path"
	"strings"
)

// Where the manifests are.
const (
	Conf = "/etc/synthetic.conf"
	Dir  = "/etc/synthetic.d"
)

// Entry is one line of a manifest: a directory in the root, or a symbolic link.
type Entry struct {
	Line   int    // from 1
	Name   string // in the root, without its slash
	Target string // of a symbolic link, empty: a directory
}

// LineError is a line that synthetic.conf(5) does not know.
type LineError struct {
	Line int
	Text string
	Why  string
}

// Error says what is wrong with the line.
func (e *LineError) Error() string { return fmt.Sprintf("line %d, %q: %s", e.Line, e.Text, e.Why) }

// Concerns reports whether whoever wrote the line had the name in mind.
func (e *LineError) Concerns(name string) bool {
	fields := strings.Fields(e.Text)
	return len(fields) > 0 && path.Base(fields[0]) == name
}

// Parse reads a manifest, and says of which lines there is no knowing what the
// system makes of them.
func Parse(text []byte) (entries []Entry, bad []*LineError) {
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		e, why := parseLine(line)
		if why != "" {
			bad = append(bad, &LineError{Line: n, Text: line, Why: why})
			continue
		}
		e.Line = n
		entries = append(entries, e)
	}
	return entries, bad
}

// parseLine reads one line or says what is wrong with it.
func parseLine(line string) (e Entry, why string) {
	columns := strings.Split(line, "\t")
	e.Name = columns[0]
	switch {
	case len(columns) > 2:
		return e, "more than two columns"
	case strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return e, "a control character, such as the carriage return of another system's lines"
	case strings.Contains(e.Name, " "):
		return e, "a space: columns are separated by one tab"
	case e.Name == "" || e.Name == "." || e.Name == "..":
		return e, "no name in the first column"
	case strings.Contains(e.Name, "/"):
		return e, "a slash: the name is one of the root's, without a slash"
	case len(columns) == 2 && columns[1] == "":
		return e, "a tab, and no target after it"
	}
	if len(columns) == 2 {
		e.Target = columns[1]
	}
	return e, ""
}
