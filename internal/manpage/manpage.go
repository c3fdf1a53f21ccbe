// Package manpage writes manual pages in mdoc(7), which man of Linux and of macOS show, of
// the commands of cobra and their help.
//
// cobra has a writer of its own, by way of Markdown. It joins the lines of lists, shows flags as
// "--json[=false]", does not say what verbs there are, and mandoc complains about what comes out.
package manpage

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Pages are the pages of root and of all verbs that help shows, by their files' names. date is of
// the program; zero is none.
func Pages(root *cobra.Command, date time.Time) map[string]string {
	pages := map[string]string{}
	add(pages, root, date)
	return pages
}

func add(pages map[string]string, cmd *cobra.Command, date time.Time) {
	pages[name(cmd)+".1"] = page(cmd, date)
	for _, sub := range cmd.Commands() {
		if shown(sub) {
			add(pages, sub, date)
		}
	}
}

func shown(cmd *cobra.Command) bool { return cmd.IsAvailableCommand() && cmd.Name() != "help" }

// name is "nixnfsd-layers-refresh", as git names its pages.
func name(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

func page(cmd *cobra.Command, date time.Time) string {
	w := new(writer)
	w.macro("Dd", dateOf(date)...)
	w.macro("Dt", strings.ToUpper(name(cmd)), "1")
	w.macro("Os", cmd.Root().Name())
	w.macro("Sh", "NAME")
	w.macro("Nm", name(cmd))
	w.macro("Nd", lowerFirst(cmd.Short))
	w.macro("Sh", "SYNOPSIS")
	w.macro("Nm", cmd.CommandPath()) // one argument: it is shown in one font
	w.synopsis(cmd)
	w.macro("Sh", "DESCRIPTION")
	w.text(cmd.Long, cmd.Short+".")
	for _, g := range cmd.Groups() {
		w.verbs(strings.TrimSuffix(g.Title, ":"), cmd.Commands(), g.ID)
	}
	w.verbs("VERBS", cmd.Commands(), "")
	w.flags("OPTIONS", cmd.LocalFlags())
	w.flags("OPTIONS OF THE VERB ABOVE", cmd.InheritedFlags())
	w.related(cmd)
	return w.String()
}

// dateOf is the date in the words of mdoc(7).
func dateOf(date time.Time) []string {
	if date.IsZero() {
		return nil
	}
	return strings.Fields(date.UTC().Format("January 2, 2006"))
}

// lowerFirst begins a phrase in the middle of a line.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// writer writes mdoc.
type writer struct{ strings.Builder }

// macro is a line that begins with a macro, whose arguments are words as they are.
func (w *writer) macro(name string, args ...string) {
	w.WriteString("." + name)
	for _, a := range args {
		if a == "" {
			continue
		}
		a = escape(a)
		if strings.Contains(a, " ") {
			a = `"` + strings.ReplaceAll(a, `"`, `\(dq`) + `"`
		}
		w.WriteString(" " + a)
	}
	w.WriteByte('\n')
}

// filled is text that roff fills lines with. A sentence begins on a line of its own, by which roff
// knows it.
func (w *writer) filled(s string) {
	const columns = 78
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len(line)+1+len(word) > columns {
			w.line(line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
		if strings.ContainsAny(word[len(word)-1:], ".!?") {
			w.line(line)
			line = ""
		}
	}
	if line != "" {
		w.line(line)
	}
}

// line is a line of text.
func (w *writer) line(s string) {
	s = escape(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s // no macro
	}
	w.WriteString(s + "\n")
}

// escape has roff take s as it is. What is quoted by backticks in a flag's usage is its value's name.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "`", `\(ga`, "~", `\(ti`, "^", `\(ha`).Replace(s)
}

// synopsis is what follows a command's name.
func (w *writer) synopsis(cmd *cobra.Command) {
	_, rest, _ := strings.Cut(cmd.Use, " ")
	switch {
	case cmd.HasAvailableSubCommands() && !cmd.HasParent():
		w.macro("Ar", "verb")
		w.macro("Op", "Ar", "options")
	case !strings.Contains(rest, "[flags]") && cmd.HasAvailableLocalFlags():
		w.macro("Op", "Ar", "options")
	}
	if rest != "" {
		w.macro("Ar", strings.ReplaceAll(rest, "[flags]", "[options]"))
	}
}

// text is paragraphs. Lines that are indented stay as they are.
func (w *writer) text(long, short string) {
	if long == "" {
		long = short
	}
	for i, paragraph := range paragraphs(long) {
		switch {
		case strings.HasPrefix(paragraph[0], "  "):
			w.macro("Bd", "-literal", "-offset", "2n")
			for _, line := range paragraph {
				w.line(strings.TrimPrefix(line, "  "))
			}
			w.macro("Ed")
			continue
		case i > 0:
			w.macro("Pp")
		}
		w.filled(strings.Join(paragraph, " "))
	}
}

// paragraphs are lines between blank ones, or that are indented alike.
func paragraphs(text string) [][]string {
	var all [][]string
	next := true
	for _, line := range strings.Split(text, "\n") {
		indented := strings.HasPrefix(line, "  ")
		switch last := len(all) - 1; {
		case line == "":
			next = true
		case next || indented != strings.HasPrefix(all[last][0], "  "):
			all = append(all, []string{line})
			next = false
		default:
			all[last] = append(all[last], line)
		}
	}
	return all
}

// verbs lists the verbs of a group.
func (w *writer) verbs(title string, cmds []*cobra.Command, group string) {
	begun := false
	for _, cmd := range cmds {
		if !shown(cmd) || cmd.GroupID != group {
			continue
		}
		if !begun {
			w.macro("Sh", strings.ToUpper(title))
			w.macro("Bl", "-tag", "-width", "completion")
			begun = true
		}
		w.macro("It", "Cm", cmd.Name())
		w.line(cmd.Short + ".")
	}
	if begun {
		w.macro("El")
	}
}

// flags lists flags.
func (w *writer) flags(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	w.macro("Sh", title)
	w.macro("Bl", "-tag", "-width", "indent")
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			w.flag(f)
		}
	})
	w.macro("El")
}

func (w *writer) flag(f *pflag.Flag) {
	value, usage := pflag.UnquoteUsage(f)
	args := []string{"Fl", "-" + f.Name}
	if f.Shorthand != "" {
		args = []string{"Fl", f.Shorthand, ",", "Fl", "-" + f.Name}
	}
	if value != "" {
		args = append(args, "Ar", value)
	}
	w.macro("It", args...)
	w.filled(strings.ToUpper(usage[:1]) + usage[1:] + defaultOf(f) + ".")
}

// defaultOf says what a flag is when it is not given, where that says something.
func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "[]", "0":
		return ""
	}
	return fmt.Sprintf(" (default: %s)", f.DefValue)
}

// related lists the pages above and below.
func (w *writer) related(cmd *cobra.Command) {
	var names []string
	if cmd.HasParent() {
		names = append(names, name(cmd.Parent()))
	}
	for _, sub := range cmd.Commands() {
		if shown(sub) {
			names = append(names, name(sub))
		}
	}
	w.macro("Sh", "SEE ALSO")
	for i, n := range names {
		args := []string{n, "1"}
		if i < len(names)-1 {
			args = append(args, ",")
		}
		w.macro("Xr", args...)
	}
}
