package model

import (
	"path"
	"strconv"
	"strings"

	"pgregory.net/rapid"
)

// slots is how many objects the script can hold on to.
const slots = 4

// where names an object: by a path from the root, "/a/b", or from an object held in a
// slot since earlier, whatever became of its names, "0/a/b". Without names it is the
// object itself.
type where string

// slot gives the number of the slot, -1 for the root.
func (w where) slot() int {
	slot, _, _ := strings.Cut(string(w), "/")
	n, err := strconv.Atoi(slot)
	if err != nil {
		return -1
	}
	return n
}

// names gives the path's names.
func (w where) names() []string {
	_, names, _ := strings.Cut(string(w), "/")
	return strings.FieldsFunc(names, func(c rune) bool { return c == '/' })
}

// split gives the directory that w is in, and its name there.
func (w where) split() (dir where, name string) {
	name = path.Base(string(w))
	return where(strings.TrimSuffix(string(w), name)), name
}

// genWhere draws a place with at least so many names.
func genWhere(least int) *rapid.Generator[where] {
	return rapid.Custom(func(t *rapid.T) where {
		from := ""
		if rapid.IntRange(0, 3).Draw(t, "held") == 3 {
			from = strconv.Itoa(rapid.IntRange(0, slots-1).Draw(t, "slot"))
		}
		return where(from + "/" + genPath(least).Draw(t, "path"))
	})
}
