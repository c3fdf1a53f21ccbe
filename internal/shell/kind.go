package shell

import "strings"

// Kind is a shell that lines are written for.
type Kind string

// The values of Kind. Bash's lines are understood by every POSIX shell.
const (
	Zsh  Kind = "zsh"
	Bash Kind = "bash"
	Fish Kind = "fish"
)

// Quote makes s one word of the shell.
func (k Kind) Quote(s string) string {
	if k != Fish {
		return Quote(s)
	}
	// Within single quotes fish knows the escapes \' and \\ (fish(1), Quotes).
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// Export is the line that gives a variable of the environment its value. A list is
// separated by colons, and fish keeps its own lists apart in "PATH" alone.
func (k Kind) Export(name, value string) string {
	if k != Fish {
		return "export " + name + "=" + Quote(value)
	}
	words := []string{value}
	if name == "PATH" {
		words = strings.Split(value, ":")
	}
	line := "set -gx " + name
	for _, w := range words {
		line += " " + k.Quote(w)
	}
	return line
}
