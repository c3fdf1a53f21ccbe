// Package terminal has what is shown fit a terminal.
package terminal

import (
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// usual is how many columns a terminal is taken to have that does not tell.
const usual = 80

// Columns is how many columns w has, 0 where it is no terminal.
func Columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	switch {
	case err != nil:
		return 0
	case columns == 0:
		return usual
	}
	return columns
}

// Plain is a line with nothing in it that a terminal would obey: names of files and of other users'
// programs are anybody's.
func Plain(line string) string { return plain(line, "") }

// PlainText is the same for several lines, whose ends and tabs stay.
func PlainText(text string) string { return plain(text, "\n\t") }

func plain(s, keep string) string {
	const joiner = '\u200d' // between parts of one character
	return strings.Map(func(r rune) rune {
		if r != unicode.ReplacementChar && unicode.IsGraphic(r) || r == joiner || strings.ContainsRune(keep, r) {
			return r
		}
		return '?'
	}, s)
}

// Cut is as much of the beginning of s as fits, whole characters as people see them.
func Cut(s string, columns int) string {
	end, state := 0, -1
	for rest := s; rest != ""; {
		var cluster string
		var wide int
		cluster, rest, wide, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if columns -= wide; columns < 0 {
			break
		}
		end += len(cluster)
	}
	return s[:end]
}
