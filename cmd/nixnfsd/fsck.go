package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/overlay"
)

type fsckOptions struct {
	dirOptions
	repair bool
	json   bool
}

func newFsckCommand() *cobra.Command {
	var opts fsckOptions
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Look through a stopped store, and mend what is wrong with it",
		Long: `Look through a store that no server serves, and say what is wrong with it: marks
that are damaged, whiteouts where none can be, wrong link counts, two objects
with one fileid. Leftovers are said too: nobody who uses the store can tell that
they are there. With --repair all that is mended which can be without losing
anything; what somebody has to decide is left as it is.

Give the directories that serve is given, all of --lower too: whether a
whiteout hides something is a question about those.

Exit codes: 0 nothing is wrong, or all was mended; 3 there are problems; 1 the
store could not be looked through, as while a server serves it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return fsck(cmd.Context(), &opts, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	opts.dirOptions.add(flags)
	flags.BoolVar(&opts.repair, "repair", false, "mend what can be mended, and say so")
	flags.BoolVar(&opts.json, "json", false, "print JSON, with a schemaVersion")
	return cmd
}

func fsck(ctx context.Context, opts *fsckOptions, stdout io.Writer) error {
	l, err := opts.resolve(defaultExport)
	if err != nil {
		return err
	}
	out := fsckPrinter(&fsckText{w: stdout, repair: opts.repair})
	if opts.json {
		out = &fsckJSON{w: stdout, repair: opts.repair}
	}
	var count fsckCount
	o := overlay.Options{Upper: l.Upper, Lowers: l.Lowers, Work: l.Work, State: l.State}
	err = overlay.Fsck(ctx, o, opts.repair, func(p overlay.Problem) {
		count.add(&p)
		out.problem(&p)
	})
	if err != nil {
		return fsckRefusal(err, l)
	}
	if err := out.end(&count); err != nil {
		return fmt.Errorf("print what was found: %w", err)
	}
	if count.Left > 0 {
		return &exitError{code: exitProblems}
	}
	return nil
}

func fsckRefusal(err error, l mount.Layout) error {
	var locked *overlay.LockedError
	var unfit *overlay.UnfitError
	var lowers *overlay.LowersError
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("ended before all was looked through: run it again")
	case errors.As(err, &locked):
		return fmt.Errorf("%w: stop that server first", err)
	case errors.As(err, &lowers):
		return fmt.Errorf("%w: give these, each with --lower and in this order, or serve it first as it is to be from now on", err)
	case errors.As(err, &unfit) && errors.Is(err, fs.ErrNotExist) && unfit.Dir == l.Work:
		return fmt.Errorf("%w: give the --work that serve is given; a store that was never served has none", err)
	case errors.As(err, &unfit) && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: give the directories that serve is given", err)
	}
	return refusal(err, l)
}

// fsckCount counts what was found.
type fsckCount struct {
	Problems  int `json:"problemCount"`
	Leftovers int `json:"leftoverCount"`
	Mended    int `json:"mendedCount"`
	// Left counts the problems that are there still, and the leftovers that could
	// not be removed.
	Left int `json:"leftCount"`
}

func (c *fsckCount) add(p *overlay.Problem) {
	switch {
	case p.Harmless:
		c.Leftovers++
	default:
		c.Problems++
	}
	switch {
	case p.Mended:
		c.Mended++
	case !p.Harmless || p.Err != nil:
		c.Left++
	}
}

// fsckPrinter prints problems as they are found: there can be many.
type fsckPrinter interface {
	problem(p *overlay.Problem)
	end(c *fsckCount) error
}

type fsckText struct {
	w      io.Writer
	repair bool
	err    error
}

func (t *fsckText) printf(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

func (t *fsckText) problem(p *overlay.Problem) {
	what := "problem"
	if p.Harmless {
		what = "leftover"
	}
	t.printf("%s: %s %s: %s\n", what, p.Kind, printable(p.Path), p.What)
	switch {
	case p.Err != nil:
		t.printf("    not mended: %v\n", p.Err)
	case p.Mended:
		t.printf("    mended: %s\n", p.Mend)
	case p.Mend == "":
		t.printf("    mend: decide what becomes of it; nothing is done\n")
	default:
		t.printf("    mend: %s\n", p.Mend)
	}
}

// printable quotes a path that would do something to a terminal, or look like lines of ours.
func printable(path string) string {
	if utf8.ValidString(path) && !strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return path
	}
	return strconv.Quote(path)
}

func (t *fsckText) end(c *fsckCount) error {
	switch {
	case c.Problems == 0 && c.Leftovers == 0:
		t.printf("clean\n")
	case t.repair:
		t.printf("problems: %d, leftovers: %d, mended: %d\n", c.Problems, c.Leftovers, c.Mended)
	default:
		t.printf("problems: %d, leftovers: %d; --repair does what is said\n", c.Problems, c.Leftovers)
	}
	return t.err
}

// fsckJSON prints one object, with a list that is not kept in memory.
type fsckJSON struct {
	w      io.Writer
	repair bool
	begun  bool
	err    error
}

const fsckSchema = 1

func (j *fsckJSON) print(text string) {
	if j.err == nil {
		_, j.err = io.WriteString(j.w, text)
	}
}

func (j *fsckJSON) value(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		j.err = errors.Join(j.err, err)
	}
	j.print(string(b))
}

func (j *fsckJSON) problem(p *overlay.Problem) {
	if j.begun {
		j.print(",")
	} else {
		j.begin()
	}
	j.print("\n")
	v := struct {
		Kind     string `json:"kind"`
		Path     string `json:"path"`
		What     string `json:"what"`
		Mend     string `json:"mend,omitempty"`
		Harmless bool   `json:"harmless"`
		Mended   bool   `json:"mended"`
		Error    string `json:"error,omitempty"`
	}{Kind: p.Kind, Path: p.Path, What: p.What, Mend: p.Mend, Harmless: p.Harmless, Mended: p.Mended}
	if p.Err != nil {
		v.Error = p.Err.Error()
	}
	j.value(v)
}

func (j *fsckJSON) begin() {
	j.begun = true
	j.print(fmt.Sprintf("{\"schemaVersion\": %d, \"repair\": %t, \"problems\": [", fsckSchema, j.repair))
}

func (j *fsckJSON) end(c *fsckCount) error {
	if !j.begun {
		j.begin()
	}
	j.print("\n], \"count\": ")
	j.value(c)
	j.print("}\n")
	return j.err
}
