package hook

import (
	"bytes"
	"errors"

	"github.com/nixnfsd/nixnfsd/internal/shell"
)

// The lines around ours. What follows begin on its line is a note.
const (
	begin = "# >>> nixnfsd >>>"
	end   = "# <<< nixnfsd <<<"
)

// The notes on what was there before the lines were.
const (
	wholeLines = ""
	cutLine    = " the line above had no end"
	noFile     = " there was no such file"
	noDir      = " there was no such directory"
)

// block is the lines without the markers, the last of which has no end.
func block(kind shell.Kind, command []string) string {
	program, call := kind.Quote(command[0]), ""
	for _, word := range append(command[:len(command):len(command)], "env", "--shell", string(kind)) {
		call += kind.Quote(word) + " "
	}
	if kind == shell.Fish {
		return "if test -x " + program + "\n    " + call + "| source\nend"
	}
	return "if [ -x " + program + ` ]; then eval "$(` + call[:len(call)-1] + `)"; fi`
}

// text is a start-up file: what is before our lines, what is behind them, and the lines, where there are any.
type text struct {
	before, behind string
	note, lines    string
	there          bool
}

var errCut = errors.New("there is only one of the two lines that nixnfsd's are between: take out by hand what is left of them")

// parse finds our lines.
func parse(b []byte) (text, error) {
	var t text
	from, to := lineOf(b, begin), lineOf(b, end)
	switch {
	case from < 0 && to < 0:
		return text{before: string(b)}, nil
	case from < 0 || to < from:
		return t, errCut
	}
	t.there = true
	t.before = string(b[:from])
	first, lines, _ := bytes.Cut(b[from:to], []byte("\n"))
	t.note = string(first[len(begin):])
	t.lines = string(bytes.TrimSuffix(lines, []byte("\n")))
	_, behind, _ := bytes.Cut(b[to:], []byte("\n"))
	t.behind = string(behind)
	return t, nil
}

// lineOf is where the first line begins that begins with start, or -1.
func lineOf(b []byte, start string) int {
	if bytes.HasPrefix(b, []byte(start)) {
		return 0
	}
	if i := bytes.Index(b, []byte("\n"+start)); i >= 0 {
		return i + 1
	}
	return -1
}

// with gives the file with the lines, in the place where they were.
func (t text) with(lines string) []byte {
	return []byte(t.before + begin + t.note + "\n" + lines + "\n" + end + "\n" + t.behind)
}

// without gives the file without them. The line above them gets its lack of an end back
// where nothing has come behind it since.
func (t text) without() []byte {
	before := t.before
	if t.note == cutLine && t.behind == "" && before != "" {
		before = before[:len(before)-1]
	}
	return []byte(before + t.behind)
}
