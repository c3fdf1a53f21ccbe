package main

import (
	"strings"
	"unicode"
)

// plain leaves nothing in a text that a terminal would obey, but for tabs and the ends of lines: it
// names files and other users' programs, which anybody may have called anything.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) || r == '\n' || r == '\t' {
			return r
		}
		return '?'
	}, text)
}
