package launchd

import "strconv"

// launchctl is never looked for in PATH, which may lead into the mount.
const launchctl = "/bin/launchctl"

// Domain is where jobs live: the system, or a user's graphical session.
type Domain string

// System is the domain of daemons, for root.
const System Domain = "system"

// GUI is the domain of a user's agents, which is there while he is logged in.
func GUI(uid int) Domain { return Domain("gui/" + strconv.Itoa(uid)) }

// Bootstrap loads the job of a property list, and starts it if it is to run at
// load. A job that is loaded has to be booted out before.
func (d Domain) Bootstrap(plist string) []string {
	return []string{launchctl, "bootstrap", string(d), plist}
}

// Bootout ends a job and forgets it until the next login or boot.
func (d Domain) Bootout(label string) []string { return d.with("bootout", label) }

// Enable takes back that a user has disabled a job: such a one cannot be loaded.
func (d Domain) Enable(label string) []string { return d.with("enable", label) }

// Kickstart starts a job, anew where it runs.
func (d Domain) Kickstart(label string) []string {
	return []string{launchctl, "kickstart", "-k", d.target(label)}
}

// Print asks what launchd knows of a job; see ParsePrint.
func (d Domain) Print(label string) []string { return d.with("print", label) }

// PrintDisabled asks which jobs are disabled; see ParseDisabled.
func (d Domain) PrintDisabled() []string {
	return []string{launchctl, "print-disabled", string(d)}
}

func (d Domain) with(verb, label string) []string { return []string{launchctl, verb, d.target(label)} }

func (d Domain) target(label string) string { return string(d) + "/" + label }
