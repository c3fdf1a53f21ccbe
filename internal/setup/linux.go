package setup

import (
	"path"

	"github.com/nixnfsd/nixnfsd/launchd/systemd"
)

func systemdPlaces(c *Config) places {
	return places{
		helper:  "/opt/nixnfsd/bin/nixnfsd",
		keeper:  path.Join(systemd.SystemDir, systemd.KeeperUnit),
		server:  path.Join(c.Configs, systemd.UserDir, systemd.ServerUnit),
		receipt: "/var/lib/nixnfsd/receipt.json",
	}
}

// linux plans for a Linux that systemd runs.
func (p *planner) linux() {
	if p.seen.Point.Mount == nil && p.seen.Point.Kind == Absent {
		p.dir(Step{Root: true, Path: p.config.Export, Mode: 0o755, Why: "the mount point"})
	}
	fresh := p.helper(systemd.ServerUnit)
	p.unit(true, systemd.System(), systemd.KeeperUnit, systemd.Keeper(p.config.keepArgs(), p.config.keeperRun()), fresh)
	p.store()
	p.unit(false, systemd.User(), systemd.ServerUnit, systemd.Server(p.config.serveArgs()), false)
}

// unit has a unit written and started, anew where it or its program has changed.
func (p *planner) unit(root bool, m systemd.Manager, name string, text []byte, fresh bool) {
	file, why := p.config.places().server, "starts the server when you log in"
	if root {
		file, why = p.config.places().keeper, "starts the keeper, which mounts what the server serves"
	}
	fresh = p.file(Step{Root: root, Path: file, Mode: 0o644, Content: text, Why: why}) || fresh
	running := p.seen.Runs[name]
	if running && !fresh {
		return
	}
	p.run(root, "has systemd read the unit", m.Reload())
	p.run(root, "starts it now and from now on", m.Enable(name))
	if running {
		p.run(root, "has the one that runs give way", m.Restart(name))
	}
}
