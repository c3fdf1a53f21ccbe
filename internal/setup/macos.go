package setup

import (
	"path"
	"strings"

	"github.com/nixnfsd/nixnfsd/launchd"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
)

// manifest is the name of our file in /etc/synthetic.d.
const manifest = "nixnfsd"

// KeeperLog is where the keeper writes: root's log belongs to root.
const KeeperLog = "/var/log/nixnfsd-keep.log"

func macPlaces(c *Config) places {
	return places{
		helper:  "/Library/PrivilegedHelperTools/nixnfsd",
		keeper:  path.Join(launchd.DaemonDir, launchd.KeeperLabel+".plist"),
		server:  path.Join(c.Home, launchd.AgentDir, launchd.ServerLabel+".plist"),
		receipt: "/Library/Application Support/nixnfsd/receipt.json",
	}
}

// mac plans for macOS.
func (p *planner) mac() error {
	if err := p.synthetic(); err != nil {
		return err
	}
	fresh := p.helper(launchd.ServerLabel)
	keeper := launchd.Keeper(p.config.keepArgs(), KeeperLog)
	if err := p.job(true, launchd.System, keeper, fresh); err != nil {
		return err
	}
	p.store()
	p.leaveOut()
	server := launchd.Server(p.config.serveArgs(), p.config.ServerLog())
	if err := p.job(false, launchd.GUI(p.config.UID), server, false); err != nil {
		return err
	}
	p.macNotes()
	return nil
}

// NeverIndex is a file by which Spotlight leaves a directory out.
const NeverIndex = ".metadata_never_index"

// leaveOut has Spotlight and Time Machine leave the store out, where it is in its standard place: its
// million files are found by nobody's search, and come from Nix's caches again.
func (p *planner) leaveOut() {
	dir := p.config.Data
	if path.Dir(p.config.Layout.Upper) != dir {
		return
	}
	if p.file(Step{Path: path.Join(dir, NeverIndex), Mode: 0o644, Why: "has Spotlight leave the store out"}) {
		p.plan.Steps = append(p.plan.Steps, Step{
			Run: ExcludeArgs(dir), Ignore: true,
			Why: "leaves the store out of Time Machine's backups: Nix gets it again; where it fails, check says so",
		})
	}
}

// ExcludeArgs has Time Machine leave a directory out for as long as it is there (tmutil(8)).
func ExcludeArgs(dir string) []string { return []string{"/usr/bin/tmutil", "addexclusion", dir} }

// synthetic has the mount point made, now where the system can and at each boot.
func (p *planner) synthetic() error {
	name := strings.TrimPrefix(p.config.Export, "/")
	change, err := synthetic.Decide(p.seen.Release, name, manifest, p.seen.Manifests)
	if err != nil {
		return err
	}
	if change != nil {
		p.file(Step{Root: true, Path: change.Path, Mode: change.Mode, Content: change.After, Why: "has macOS make the mount point at each boot"})
	}
	there := p.seen.Point.Mount != nil || p.seen.Point.Kind == Directory
	if synthetic.Owed(true, there) == synthetic.NoRestart {
		return nil
	}
	for _, args := range synthetic.Activate() {
		p.plan.Steps = append(p.plan.Steps, Step{Root: true, Run: args, Ignore: true, Why: "has it made now; one of the two does it, and their status says nothing"})
	}
	p.note("Where " + p.config.Export + " is not there then, restart the machine: all else goes on by itself.")
	return nil
}

// job has a job written and loaded, anew where it or its program has changed.
func (p *planner) job(root bool, domain launchd.Domain, j launchd.Job, fresh bool) error {
	text, err := j.Plist()
	if err != nil {
		return err
	}
	file, why := p.config.places().server, "starts the server when you log in"
	if root {
		file, why = p.config.places().keeper, "starts the keeper, which mounts what the server serves"
	}
	fresh = p.file(Step{Root: root, Path: file, Mode: 0o644, Content: text, Why: why}) || fresh
	loaded := p.seen.Runs[j.Label]
	if loaded && !fresh {
		return nil
	}
	if loaded {
		p.run(root, "ends the one that was", domain.Bootout(j.Label))
	}
	p.run(root, "takes back an earlier \"disable\"", domain.Enable(j.Label))
	p.run(root, "starts it now", domain.Bootstrap(file))
	return nil
}

func (p *planner) macNotes() {
	if len(p.plan.Steps) == 0 {
		return
	}
	if p.seen.Release.AtLeast(13) {
		p.note("macOS says that background items were added. Leave them on: without them nothing is mounted. They are under System Settings, General, Login Items.")
	}
	if p.seen.Release.AtLeast(26) {
		p.note("macOS 26 may start them minutes after you log in; \"nixnfsd wait\" waits for the mount.")
	}
}
