package doctor

import (
	"slices"

	"github.com/nixnfsd/nixnfsd/internal/setup"
)

// Problem is one thing that is wrong.
type Problem struct {
	Name     string   `json:"name"` // of its Kind
	Severity Severity `json:"severity"`
	What     string   `json:"what"`
	Mend     string   `json:"mend"` // in words, for people
	// Fix is what --fix would do, empty: nothing.
	Fix []setup.Step `json:"fix,omitempty"`
}

// patient collects what is wrong.
type patient struct {
	*Sight
	found []Problem
}

func (p *patient) add(name, what, mend string, fix ...setup.Step) {
	p.found = append(p.found, Problem{Name: name, What: what, Mend: mend, Fix: fix})
}

// has reports whether a problem was found already.
func (p *patient) has(name string) bool {
	return slices.ContainsFunc(p.found, func(f Problem) bool { return f.Name == name })
}

// Diagnose says what is wrong. What keeps the mount from being used comes first.
func Diagnose(s *Sight) []Problem {
	p := &patient{Sight: s, found: []Problem{}}
	for _, part := range []func(){
		p.mounting, p.jobs, p.setUp, p.obstacles, p.process, p.layers, p.dirs, p.space, p.store, p.vars, p.database,
		p.kept, p.mac, p.shells, p.clock, p.unseen,
	} {
		part()
	}
	severity := map[string]Severity{}
	for _, k := range Kinds() {
		severity[k.Name] = k.Severity
	}
	for i := range p.found {
		p.found[i].Severity = severity[p.found[i].Name]
	}
	return p.found
}

// Plan is what mends the problems that have steps, each step once. Those that touch the mount come
// last: they fail where somebody works in it.
func Plan(problems []Problem) *setup.Plan {
	var plan setup.Plan
	for _, last := range []bool{false, true} {
		for _, f := range problems {
			if touchesMount(f.Name) != last {
				continue
			}
			for _, step := range f.Fix {
				if !slices.ContainsFunc(plan.Steps, func(s setup.Step) bool { return same(s, step) }) {
					plan.Steps = append(plan.Steps, step)
				}
			}
		}
	}
	return &plan
}

// same reports whether two steps do the same.
func same(a, b setup.Step) bool {
	return a.Root == b.Root && a.Path == b.Path && slices.Equal(a.Run, b.Run)
}
