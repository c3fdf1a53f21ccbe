package setup

import (
	"fmt"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/shell"
)

// width is of the terminal that a plan is printed for.
const width = 80

// Text shows the plan: every file with what is written into it, and every
// command. Only files' own lines may be longer than 80 columns.
func (p *Plan) Text() string {
	var b strings.Builder
	if len(p.Steps) == 0 {
		b.WriteString("There is nothing to do.\n")
	}
	n := 0
	for _, root := range []bool{true, false} {
		steps := p.Of(root)
		if len(steps) == 0 {
			continue
		}
		b.WriteString(map[bool]string{true: "As root, for which sudo asks once:\n", false: "As you:\n"}[root])
		for _, s := range steps {
			n++
			s.print(&b, n)
		}
		b.WriteByte('\n')
	}
	for _, note := range p.Notes {
		wrap(&b, "", "", strings.Fields(note))
	}
	return b.String()
}

// print shows one step, numbered.
func (s *Step) print(b *strings.Builder, n int) {
	wrap(b, fmt.Sprintf("%3d. ", n), "     ", s.words())
	wrap(b, "     (", "      ", strings.Fields(s.Why+")"))
	for line := range strings.Lines(string(s.Content)) {
		b.WriteString(strings.TrimRight("     | "+line, " \n") + "\n")
	}
}

// words says what the step does; a path or an argument stays in one piece.
func (s *Step) words() []string {
	mode := fmt.Sprintf("(mode %04o)", s.Mode.Perm())
	switch {
	case s.Run != nil:
		words := []string{"run"}
		for _, arg := range s.Run {
			words = append(words, shell.Quote(arg))
		}
		return words
	case s.Delete:
		return []string{"delete", shell.Quote(s.Path), "and", "all", "that", "is", "in", "it"}
	case s.Hook != nil:
		return []string{"take", "nixnfsd's", "lines", "out", "of", shell.Quote(s.Path)}
	case s.Narrow != 0:
		return []string{"take", fmt.Sprintf("mode %04o", s.Narrow), "away", "from", shell.Quote(s.Path)}
	case s.Remove:
		return []string{"remove", shell.Quote(s.Path)}
	case s.Mode.IsDir():
		return []string{"make", "the", "directory", shell.Quote(s.Path), mode}
	case s.From != "":
		return []string{"copy", shell.Quote(s.From), "to", shell.Quote(s.Path), mode}
	}
	return []string{"write", shell.Quote(s.Path), mode}
}

// wrap writes words in lines of the width, behind a prefix for the first line
// and one for the others.
func wrap(b *strings.Builder, first, next string, words []string) {
	line := first
	for i, word := range words {
		switch {
		case i == 0:
			line += word
		case len(line)+1+len(word) > width:
			b.WriteString(line + "\n")
			line = next + word
		default:
			line += " " + word
		}
	}
	b.WriteString(line + "\n")
}
