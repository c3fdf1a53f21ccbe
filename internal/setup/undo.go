package setup

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nixnfsd/nixnfsd/launchd"
	"github.com/nixnfsd/nixnfsd/launchd/systemd"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
)

// Digests are those of files that a receipt names, as they are now. A file that
// is not there has none.
type Digests map[string]string

// Digest reads the files of a receipt.
func (d Digests) Digest(r Receipt) error {
	for _, c := range r.Changes {
		if c.Dir {
			continue
		}
		sum, err := digest(c.Path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look at what was set up: %w", err)
		}
		d[c.Path] = sum
	}
	return nil
}

// Undo plans what takes back what the receipts of root and of the user say: first
// the keeper ends and the mount goes, while the server still answers. What
// somebody has changed since is left, but for a manifest of synthetic entries, of
// which only our line goes.
func Undo(c *Config, s *Seen, root, user Receipt, now Digests) *Plan {
	u := &undoer{config: c, seen: s, now: now}
	p := c.places()
	if now[p.keeper] != "" {
		u.end(true, p.keeper)
	}
	for _, dir := range root.Exports {
		u.plan.Steps = append(u.plan.Steps, Step{Root: true, Run: mount.UnmountArgs(c.System, dir, false), IfMounted: dir, Why: "while the server still answers; it fails where somebody works in it"})
	}
	u.files(true, root)
	u.reload(true, now[p.keeper])
	if now[p.server] != "" {
		u.end(false, p.server)
	}
	u.files(false, user)
	u.reload(false, now[p.server])
	return &u.plan
}

// undoer collects the steps.
type undoer struct {
	config *Config
	seen   *Seen
	now    Digests
	plan   Plan
}

// end has the job or the unit of a file end for good.
func (u *undoer) end(root bool, file string) {
	args := u.systemd(root).Disable(path.Base(file))
	if u.config.System == "darwin" {
		label := strings.TrimSuffix(path.Base(file), ".plist")
		if !u.seen.Runs[label] {
			return
		}
		domain := launchd.System
		if !root {
			domain = launchd.GUI(u.config.UID)
		}
		args = domain.Bootout(label)
	}
	u.plan.Steps = append(u.plan.Steps, Step{Root: root, Run: args, Why: "ends it for good"})
}

// reload has systemd forget a unit whose file was there.
func (u *undoer) reload(root bool, was string) {
	if u.config.System == "linux" && was != "" {
		u.plan.Steps = append(u.plan.Steps, Step{Root: root, Run: u.systemd(root).Reload(), Why: "has systemd forget the unit"})
	}
}

func (u *undoer) systemd(root bool) systemd.Manager {
	if root {
		return systemd.System()
	}
	return systemd.User()
}

// files takes the changes of one receipt back, the last one first.
func (u *undoer) files(root bool, r Receipt) {
	for _, c := range slices.Backward(r.Changes) {
		s := Step{Root: root, Path: c.Path, Undo: true}
		switch {
		case c.Dir:
			s.Remove, s.Mode, s.Why = true, fs.ModeDir, "setup made it; it stays where something is in it"
		case u.isManifest(c.Path):
			u.manifest(&s, c, r.Exports)
		case u.foreign(c):
			u.plan.Notes = append(u.plan.Notes, c.Path+" was changed since, and is left: remove it by hand, and run this again.")
			continue
		case c.Before == nil:
			s.Remove, s.Why = true, "setup wrote it"
		default:
			s.Mode, s.Content, s.Why = c.Before.Mode, c.Before.Content, "what was there before"
		}
		u.plan.Steps = append(u.plan.Steps, s)
	}
}

func (u *undoer) isManifest(file string) bool {
	return file == synthetic.Conf || path.Dir(file) == synthetic.Dir
}

// foreign reports whether there is a file that is neither what setup wrote nor
// what was there before it.
func (u *undoer) foreign(c Change) bool {
	now := u.now[c.Path]
	before := ""
	if c.Before != nil {
		before = fmt.Sprintf("%x", sha256.Sum256(c.Before.Content))
	}
	return now != "" && now != c.Digest && now != before
}

// manifest takes our lines out of a manifest as it is now.
func (u *undoer) manifest(s *Step, c Change, exports []string) {
	var before []byte
	s.Mode, s.Why = 0o644, "without the line that setup added"
	if c.Before != nil {
		before, s.Mode = c.Before.Content, c.Before.Mode
	}
	for _, m := range u.seen.Manifests {
		if m.Path == c.Path {
			s.Content = m.Text
		}
	}
	for _, dir := range exports {
		s.Content = synthetic.Undo(before, s.Content, strings.TrimPrefix(dir, "/"))
		u.plan.Notes = append(u.plan.Notes, dir+" goes when you restart the machine.")
	}
	s.Remove = s.Content == nil
}
