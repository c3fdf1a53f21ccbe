package systemd

// systemctl is never looked for in PATH, which may lead into the mount.
const systemctl = "/usr/bin/systemctl"

// Manager is one of systemd's managers: the machine's, or a user's own.
type Manager []string

// System is the machine's manager, for root.
func System() Manager { return Manager{systemctl} }

// User is the manager of the user who runs the command.
func User() Manager { return Manager{systemctl, "--user"} }

// Reload has the manager read its unit files anew.
func (m Manager) Reload() []string { return m.with("daemon-reload") }

// Enable starts a unit, now and with the machine or the session.
func (m Manager) Enable(unit string) []string { return m.with("enable", "--now", unit) }

// Disable ends a unit, now and for good.
func (m Manager) Disable(unit string) []string { return m.with("disable", "--now", unit) }

// Start starts a unit.
func (m Manager) Start(unit string) []string { return m.with("start", unit) }

// Stop ends a unit until the next boot or session.
func (m Manager) Stop(unit string) []string { return m.with("stop", unit) }

// Restart ends a unit and starts it.
func (m Manager) Restart(unit string) []string { return m.with("restart", unit) }

// Show asks what the manager knows of a unit; see ParseShow.
func (m Manager) Show(unit string) []string {
	return m.with("show", "--property=LoadState,SubState,UnitFileState,MainPID,ExecMainStatus,NRestarts,FragmentPath,NeedDaemonReload", unit)
}

// UnitPath asks in which directories the manager looks for unit files; see ParseUnitPath.
func (m Manager) UnitPath() []string { return m.with("show", "--property=UnitPath") }

func (m Manager) with(args ...string) []string {
	return append(append([]string{}, m...), args...)
}
