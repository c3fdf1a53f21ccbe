package setup

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/hook"
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
		sum, err := digestNow(c.Path)
		if err != nil {
			return fmt.Errorf("look at what was set up: %w", err)
		}
		d[c.Path] = sum
	}
	return nil
}

// digestNow is a file's digest, empty where it is not there. What a symbolic link leads to may
// be in a mount that is dead.
func digestNow(file string) (string, error) {
	target, err := os.Readlink(file)
	if err == nil {
		return Linked(target), nil
	}
	sum, err := digest(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return sum, err
}

// Undo plans what takes back what the receipts of root and of the user say: first
// the keeper unmounts, while the server still answers, and where it cannot nothing more is done; then it ends. What
// somebody has changed since is left, but for a manifest of synthetic entries, of
// which only our line goes. Of the store that is deleted which is given; what is kept of it stays in the
// user's receipt.
func Undo(c *Config, s *Seen, root, user Receipt, now Digests, store []StoreDir) *Plan {
	u := &undoer{config: c, seen: s, now: now}
	p := c.places()
	if root.tells(p.keeper) {
		u.unmount(root.Exports)
		u.end(true, p.keeper)
	}
	for _, dir := range root.Exports {
		u.plan.Steps = append(u.plan.Steps, Step{Root: true, Run: mount.UnmountArgs(c.System, dir, false), IfMounted: dir, Why: "where no keeper runs; while the server still answers"})
	}
	u.files(true, root)
	u.left(true)
	u.reload(true, root.tells(p.keeper))
	u.log(true, root.tells(p.keeper), KeeperLog)
	told := user.tells(p.server)
	if told {
		u.end(false, p.server)
	}
	u.hooks()
	u.store(store)
	if len(store) == 0 {
		user = user.withoutStore()
	}
	u.files(false, user)
	u.left(false)
	u.reload(false, told)
	u.log(false, told, c.ServerLog())
	return &u.plan
}

// undoer collects the steps.
type undoer struct {
	config *Config
	seen   *Seen
	now    Digests
	plan   Plan
}

// tells reports whether a receipt tells of a path.
func (r *Receipt) tells(path string) bool {
	return slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Path == path })
}

// withoutStore leaves out the directories that the store is in, and what is beside it there.
func (r Receipt) withoutStore() Receipt {
	r.Changes = slices.DeleteFunc(slices.Clone(r.Changes), func(c Change) bool {
		return slices.ContainsFunc(r.Store, func(dir string) bool {
			return c.Dir && within(dir, c.Path) || !c.Dir && path.Base(c.Path) == NeverIndex && path.Dir(c.Path) == path.Dir(dir)
		})
	})
	return r
}

func (u *undoer) hooks() {
	for _, f := range u.seen.Hooks {
		u.plan.Steps = append(u.plan.Steps, Step{Path: f.Path, Undo: true, Hook: &hook.Hook{File: f, MountPoint: u.config.Export}, Why: "the program that they name may go"})
	}
}

// unmount has the keeper do it, as long as it is there: without it nobody would take away a mount whose
// server is gone.
func (u *undoer) unmount(exports []string) {
	helper := u.config.places().helper
	if u.now[helper] == "" {
		return
	}
	for _, dir := range exports {
		u.plan.Steps = append(u.plan.Steps, Step{
			Root: true, Run: []string{helper, "umount", "--owner", strconv.Itoa(u.config.UID)}, Keeper: true, IfMounted: dir,
			Why: "before anything is taken away; where somebody works in it this fails, and nothing is",
		})
	}
}

// store deletes directories of the store, once no server uses them.
func (u *undoer) store(dirs []StoreDir) {
	for _, d := range dirs {
		u.plan.Steps = append(u.plan.Steps, Step{Path: d.Path, Undo: true, Delete: true, Why: d.String() + "; nothing brings it back"})
	}
}

// end has the job or the unit of a file end for good. systemctl ends one whose file is gone too, and
// complains.
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
	u.plan.Steps = append(u.plan.Steps, Step{Root: root, Run: args, Ignore: u.now[file] == "", Why: "ends it for good"})
}

// reload has systemd forget a unit that was written.
func (u *undoer) reload(root, written bool) {
	if u.config.System == "linux" && written {
		u.plan.Steps = append(u.plan.Steps, Step{Root: root, Run: u.systemd(root).Reload(), Why: "has systemd forget the unit"})
	}
}

// log removes the file that launchd made for what a job says; systemd's journal is the machine's.
func (u *undoer) log(root, written bool, file string) {
	if u.config.System == "darwin" && written {
		u.plan.Steps = append(u.plan.Steps, Step{Root: root, Path: file, Undo: true, Remove: true, Why: "what it has logged"})
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

// left removes a receipt that tells of nothing, and with it the rest of what was left there.
func (u *undoer) left(root bool) {
	for _, l := range u.seen.Left {
		if l.Root == root {
			u.plan.Steps = append(u.plan.Steps, Step{Root: root, Path: l.Receipt, Undo: true, Remove: true, Why: "left by a process that was killed; it tells of nothing"})
		}
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
