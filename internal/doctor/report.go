package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nixnfsd/nixnfsd/mount"
)

// Report is what was seen and what is wrong, as people and programs get it. Its version as JSON is
// that of mount.Status.
type Report struct {
	mount.Status
	// Problems stand for those of Status, which are among them.
	Problems []Problem `json:"problems"`
	// Mended and Left are names of problems that were to be mended, and are not there any more, or
	// still are.
	Mended []string `json:"mended,omitempty"`
	Left   []string `json:"left,omitempty"`
}

// NewReport diagnoses.
func NewReport(s *Sight) Report {
	return Report{Status: s.Status, Problems: Diagnose(s)}
}

// Well reports whether the mount is usable and nothing is wrong but what warnings say.
func (r *Report) Well() bool {
	return r.Status.OK() && !slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.Severity == Error })
}

// Compare says what became of the problems that were there before and were to be mended.
func (r *Report) Compare(before []Problem) {
	for _, p := range before {
		list := &r.Mended
		if slices.ContainsFunc(r.Problems, func(now Problem) bool { return now.Name == p.Name && now.What == p.What }) {
			list = &r.Left
		}
		if len(p.Fix) > 0 && !slices.Contains(*list, p.Name) {
			*list = append(*list, p.Name)
		}
	}
}

// Text is the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.State, r.Summary)
	if m := r.Mount; m != nil {
		fmt.Fprintf(&b, "  mount: %s on %s, type %s\n", m.From, r.MountPoint, m.Type)
		fmt.Fprintf(&b, "  options: %s\n", strings.Join(m.Options, ","))
	}
	for _, p := range r.Problems {
		word := "problem"
		if p.Severity == Warning {
			word = "warning"
		}
		fmt.Fprintf(&b, "  %s %s: %s\n     mend: %s\n", word, p.Name, p.What, p.Mend)
	}
	for _, l := range []struct {
		word  string
		names []string
	}{{"mended", r.Mended}, {"not mended", r.Left}, {"nixnfsd check --fix mends", r.fixable()}} {
		if len(l.names) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", l.word, strings.Join(l.names, ", "))
		}
	}
	return b.String()
}

// fixable are names of problems that --fix could be asked to mend.
func (r *Report) fixable() []string {
	var names []string
	for _, p := range r.Problems {
		if len(p.Fix) > 0 && !slices.Contains(names, p.Name) && !slices.Contains(r.Left, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}
