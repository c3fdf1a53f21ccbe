package systemd

import (
	"fmt"
	"strconv"
	"strings"
)

// State is what a manager knows of a unit.
type State struct {
	Loaded   bool
	Running  bool
	Enabled  bool
	Stale    bool   // the unit file has changed since it was read
	PID      int    // 0: it does not run
	Path     string // of the unit file
	Runs     int    // how many times it was started again
	LastExit int    // exit code or signal of the last run, 0 also where there was none
	// Reason is systemd's own word on a unit that does not run, such as "dead",
	// "failed" or "auto-restart".
	Reason string
}

// ParseShow reads what the command of Show prints: a property on each line. A
// unit that is not there is no error.
func ParseShow(text string) (State, error) {
	var s State
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			s.set(key, value)
		}
	}
	if !s.Running && s.Reason == "" {
		return s, fmt.Errorf("read what systemctl shows: there is no state in %.80q", text)
	}
	return s, nil
}

// ParseUnitPath reads what the command of UnitPath prints.
func ParseUnitPath(text string) []string {
	_, dirs, _ := strings.Cut(text, "UnitPath=")
	return strings.Fields(dirs)
}

func (s *State) set(key, value string) {
	n, _ := strconv.Atoi(value) // where it is one
	switch key {
	case "LoadState":
		s.Loaded = value == "loaded"
	case "SubState":
		if s.Running = value == "running"; !s.Running {
			s.Reason = value
		}
	case "UnitFileState":
		s.Enabled = value == "enabled"
	case "NeedDaemonReload":
		s.Stale = value == "yes"
	case "MainPID":
		s.PID = n
	case "ExecMainStatus":
		s.LastExit = n
	case "NRestarts":
		s.Runs = n
	case "FragmentPath":
		s.Path = value
	}
}
