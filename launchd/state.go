package launchd

import (
	"fmt"
	"strconv"
	"strings"
)

// State is what launchd knows of a job that is loaded.
type State struct {
	Running bool
	PID     int    // 0: it does not run
	Path    string // of the property list
	Program string
	Runs    int // how many times it was started
	// LastExit is the last run's exit code, -1 where there was none.
	LastExit int
	// Reason is launchd's own word on a job that does not run, such as "spawn
	// scheduled" or "not running".
	Reason string
}

// ParsePrint reads what "launchctl print DOMAIN/LABEL" prints of a job. Apple
// says that the format is no interface: what is not there stays at its zero
// value, and only a text without a state is an error. Of nested blocks, whose
// lines look the same, nothing is read.
func ParsePrint(text string) (State, error) {
	s := State{LastExit: -1}
	for line := range strings.Lines(text) {
		line, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "\t")
		if !ok || strings.HasPrefix(line, "\t") {
			continue
		}
		if key, value, ok := strings.Cut(line, " = "); ok {
			s.set(key, strings.TrimSpace(value))
		}
	}
	if s.Reason == "" && !s.Running {
		return s, fmt.Errorf("read what launchctl prints: there is no state in %.80q", text)
	}
	return s, nil
}

func (s *State) set(key, value string) {
	switch key {
	case "state":
		s.Running = value == "running"
		if !s.Running {
			s.Reason = value
		}
	case "pid":
		s.PID = number(value, 0)
	case "path":
		s.Path = value
	case "program":
		s.Program = value
	case "runs":
		s.Runs = number(value, 0)
	case "last exit code": // "0", "78: EX_CONFIG", "(never exited)"
		code, _, _ := strings.Cut(value, ":")
		s.LastExit = number(code, -1)
	}
}

func number(s string, otherwise int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return otherwise
	}
	return n
}

// ParseDisabled reads from what "launchctl print-disabled DOMAIN" prints whether
// a job is. Older systems write true, newer ones disabled.
func ParseDisabled(text, label string) bool {
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " => ")
		if ok && name == strconv.Quote(label) {
			return value == "true" || value == "disabled"
		}
	}
	return false
}
