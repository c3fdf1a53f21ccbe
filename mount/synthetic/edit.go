package synthetic

import (
	"bytes"
	"slices"
	"strings"
)

// Add gives a manifest with a line more, by which the system makes the
// directory name.
func Add(text []byte, name string) []byte {
	after := slices.Clone(text)
	if len(after) > 0 && after[len(after)-1] != '\n' {
		after = append(after, '\n')
	}
	return append(after, name+"\n"...)
}

// Undo takes back what Add made of before. Where others have changed the
// manifest since, only the line goes. A nil result is a file to be removed;
// nil for before is one that was not there.
func Undo(before, now []byte, name string) []byte {
	if bytes.Equal(now, Add(before, name)) {
		return before
	}
	after := withoutLine(now, name)
	if before == nil && len(after) == 0 {
		return nil
	}
	return after
}

// withoutLine removes the last line that is the name and nothing else.
func withoutLine(text []byte, name string) []byte {
	lines := slices.Collect(strings.Lines(string(text)))
	for i, line := range slices.Backward(lines) {
		if strings.TrimSuffix(line, "\n") == name {
			return []byte(strings.Join(slices.Delete(lines, i, i+1), ""))
		}
	}
	return text
}
