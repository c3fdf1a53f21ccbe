package setup

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/nixnfsd/nixnfsd/internal/hook"
)

// Plan is what to do, in order: root's steps, then the user's.
type Plan struct {
	Steps []Step
	// Notes are what the user has to know or to do.
	Notes []string
}

// Step is one thing to do: a command to run, a directory to make, or a file to
// write, to copy or to remove.
type Step struct {
	Why  string `json:"why"`
	Root bool   `json:"root"` // root does it, not the user

	Run []string `json:"run,omitempty"`
	// Ignore: the command's status says nothing.
	Ignore bool `json:"ignore,omitempty"`
	// Keeper: the command asks the keeper, which need not run: exit code 4 says so.
	Keeper bool `json:"keeper,omitempty"`
	// IfMounted is where NFS has to be mounted for the command to be run.
	IfMounted string `json:"ifMounted,omitempty"`

	Path    string      `json:"path,omitempty"`
	Mode    fs.FileMode `json:"mode,omitempty"`    // of Path; with fs.ModeDir it is a directory
	Content []byte      `json:"content,omitempty"` // of a file
	From    string      `json:"from,omitempty"`    // the file to copy
	Remove  bool        `json:"remove,omitempty"`  // Path, a directory only where it is empty
	// Undo takes a change back, which the receipt then forgets.
	Undo bool `json:"undo,omitempty"`
	// Delete: Path with all that is in it, which the receipt has to call a directory of ours.
	Delete bool `json:"delete,omitempty"`
	// Narrow are permission bits that are taken away from Path, which a symbolic link is not followed for.
	Narrow fs.FileMode `json:"narrow,omitempty"`
	// Hook: the lines of ours that Path, a shell's start-up file, has.
	Hook *hook.Hook `json:"hook,omitempty"`
}

// Of gives the steps of root, or those of the user.
func (p *Plan) Of(root bool) []Step {
	return slices.DeleteFunc(slices.Clone(p.Steps), func(s Step) bool { return s.Root != root })
}

// New plans what has to be done. It does not ask whether something is in the
// way: see Obstacles.
func New(c *Config, s *Seen) (*Plan, error) {
	p := &planner{config: c, seen: s, made: map[string]bool{}}
	var err error
	switch c.System {
	case "darwin":
		err = p.mac()
	case "linux":
		p.linux()
	default:
		err = fmt.Errorf("set up on %s: not known there", c.System)
	}
	return &p.plan, err
}

// planner collects the steps that are needed.
type planner struct {
	config *Config
	seen   *Seen
	plan   Plan
	made   map[string]bool // directories that a step makes
}

// helper has root's copy of the program written, and reports whether it is new.
// The server that runs as the job goes on with the program that it was started from.
func (p *planner) helper(server string) bool {
	fresh := p.file(Step{
		Root: true, Path: p.config.places().helper, Mode: 0o755, From: p.config.Program,
		Why: "what root runs may be changed by nobody but root",
	})
	if fresh && p.seen.Runs[server] {
		p.note("Then \"nixnfsd restart\" has the running server become this version.")
	}
	return fresh
}

// file adds a step that writes a file, unless it is so already and a receipt tells of it, after
// those that make its directory. It reports whether it did.
func (p *planner) file(s Step) bool {
	now, there := p.seen.Files[s.Path]
	if there && p.seen.Noted[s.Path] && (s.From != "" || bytes.Equal(now, s.Content)) {
		return false
	}
	p.dir(Step{Root: s.Root, Path: path.Dir(s.Path), Mode: 0o755, Why: "for what follows"})
	p.plan.Steps = append(p.plan.Steps, s)
	return true
}

// store has the server's directories made here, so that a receipt tells of those above them.
func (p *planner) store() {
	l := p.config.Layout
	for _, d := range []Step{{Path: l.Upper, Mode: 0o755, Why: "what is served"}, {Path: l.State, Mode: 0o700, Why: "what the server has to know after a restart"}} {
		if d.Path == "" {
			continue
		}
		p.dir(Step{Path: path.Dir(d.Path), Mode: 0o700, Why: "for what follows"})
		p.dir(d)
	}
	for _, dir := range p.config.storeDirs() {
		if dir != "" && !slices.Contains(p.config.Ours(p.seen), dir) {
			p.note(dir + " holds something already: it is served, and uninstall leaves it.")
		}
	}
}

// dir adds steps that make a directory and those above it, where they are not there.
func (p *planner) dir(s Step) {
	if p.seen.Dirs[s.Path] || p.made[s.Path] {
		return
	}
	above := s
	if above.Path = path.Dir(s.Path); above.Path != s.Path {
		p.dir(above)
	}
	p.made[s.Path] = true
	s.Mode |= fs.ModeDir
	p.plan.Steps = append(p.plan.Steps, s)
}

func (p *planner) run(root bool, why string, args []string) {
	p.plan.Steps = append(p.plan.Steps, Step{Root: root, Run: args, Why: why})
}

func (p *planner) note(text string) { p.plan.Notes = append(p.plan.Notes, text) }
