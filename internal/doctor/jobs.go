package doctor

import (
	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/mount"
)

// jobNames are the names of what is wrong with one of the two jobs.
type jobNames struct{ off, unloaded, stopped, failing, stale string }

func (j Job) names() jobNames {
	if j.Keeper {
		return jobNames{KeeperOff, KeeperUnloaded, KeeperStopped, KeeperFailing, KeeperStale}
	}
	return jobNames{ServerOff, ServerUnloaded, ServerStopped, ServerFailing, ServerStale}
}

// jobs says what is wrong with those that are set up. One that somebody runs by hand instead is
// not missed.
func (p *patient) jobs() {
	for _, j := range p.Jobs {
		n, who := j.names(), "the server's job "+p.jobName(j)
		if j.Keeper {
			who = "the keeper's job " + p.jobName(j)
		}
		switch {
		case !j.Loaded:
			p.add(n.unloaded, who+" is not known to "+p.managerName(), "have it read: nixnfsd check --fix does"+p.login(), p.startJob(j)...)
			continue
		case j.Off:
			p.add(n.off, who+" is turned off: it does not start by itself", "turn it on: nixnfsd check --fix does"+p.login(), p.startJob(j)...)
		case j.Stale:
			p.add(n.stale, who+" has another file than "+p.managerName()+" has read", "have it read: nixnfsd check --fix does", p.reloadJob(j)...)
		}
		switch {
		case j.Running || p.works(j):
		case j.Failed:
			p.add(n.failing, who+" does not stay up: "+j.Reason, "see why: "+p.logs(j))
		case !j.Keeper && p.has(mount.PortTaken):
			p.add(n.stopped, who+" does not run: "+j.Reason, "free its port, and start it: nixnfsd start")
		default:
			p.add(n.stopped, who+" does not run: "+j.Reason, "start it: nixnfsd check --fix does", p.startJob(j)...)
		}
	}
}

// works reports whether what a job is for is done all the same.
func (p *patient) works(j Job) bool {
	if j.Keeper {
		return p.Keeper != nil
	}
	return p.Status.Server.Up
}

func (p *patient) darwin() bool { return p.Setup.System == "darwin" }

func (p *patient) managerName() string {
	if p.darwin() {
		return "launchd"
	}
	return "systemd"
}

func (p *patient) jobName(j Job) string {
	if p.darwin() {
		return label(j.Keeper)
	}
	return unit(j.Keeper)
}

// login is what on macOS only the user can put right.
func (p *patient) login() string {
	if p.darwin() {
		return "; where that fails, allow it under System Settings, General, Login Items"
	}
	return ""
}

func (p *patient) logs(j Job) string {
	switch {
	case !j.Keeper:
		return "nixnfsd logs"
	case p.darwin():
		return setup.KeeperLog
	}
	return "journalctl -u " + unit(true)
}

// startServer starts the server's job, where it is there and does not fail by itself.
func (p *patient) startServer() []setup.Step {
	for _, j := range p.Jobs {
		if !j.Keeper && !j.Failed && !j.Running {
			return p.startJob(j)
		}
	}
	return nil
}

// startJob has a job be known, be on and run.
func (p *patient) startJob(j Job) []setup.Step {
	if !p.darwin() {
		m := manager(j.Keeper)
		return []setup.Step{
			run(j.Keeper, "has systemd read the unit", m.Reload()...),
			run(j.Keeper, "starts it now and from now on", m.Enable(unit(j.Keeper))...),
		}
	}
	domain, name := p.domain(j.Keeper), label(j.Keeper)
	steps := []setup.Step{run(j.Keeper, `takes back an earlier "disable"`, domain.Enable(name)...)}
	switch {
	case j.Running:
		return steps
	case j.Loaded:
		return append(steps, run(j.Keeper, "starts it", domain.Kickstart(name)...))
	}
	return append(steps, run(j.Keeper, "has launchd read it, and start it", domain.Bootstrap(p.jobFile(j))...))
}

func (p *patient) reloadJob(j Job) []setup.Step {
	m := manager(j.Keeper) // launchd tells of no such thing
	return []setup.Step{
		run(j.Keeper, "has systemd read the unit", m.Reload()...),
		run(j.Keeper, "has the one that runs give way", m.Restart(unit(j.Keeper))...),
	}
}

func (p *patient) jobFile(j Job) string {
	keeper, server := p.Setup.JobFiles()
	if j.Keeper {
		return keeper
	}
	return server
}
