package systemd

import (
	"fmt"
	"slices"
	"strings"
)

// unitKeys are the settings of systemd.unit(5), systemd.service(5),
// systemd.kill(5) and systemd.exec(5) that a unit of ours can have a use for.
// Of the last those are left out that make a mount namespace.
var unitKeys = map[string][]string{
	"Unit":    {"Description", "Documentation", "After", "Before", "Wants", "Requires", "PartOf", "StartLimitIntervalSec", "StartLimitBurst", "ConditionPathExists"},
	"Service": {"Type", "ExecStart", "ExecStop", "Restart", "RestartSec", "TimeoutStartSec", "TimeoutStopSec", "KillMode", "KillSignal", "NoNewPrivileges", "LockPersonality", "RestrictRealtime", "RestrictSUIDSGID", "MemoryDenyWriteExecute", "SystemCallArchitectures", "CapabilityBoundingSet", "LimitNOFILE", "RuntimeDirectory", "OOMScoreAdjust", "UMask"},
	"Install": {"WantedBy", "Alias", "Also"},
}

// checkUnit rejects what systemd would pass over with a line in its journal.
func checkUnit(text []byte) error {
	section := ""
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		name, isSection := strings.CutPrefix(line, "[")
		key, value, isSetting := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case isSection:
			section = strings.TrimSuffix(name, "]")
			if unitKeys[section] == nil || section == name {
				return fmt.Errorf("%q is no section", line)
			}
		case !isSetting || value == "" || strings.HasSuffix(value, `\`):
			return fmt.Errorf("%q is no setting", line)
		case !slices.Contains(unitKeys[section], key):
			return fmt.Errorf("[%s] knows no %s", section, key)
		case seen[section+key]:
			return fmt.Errorf("%s is there twice", key)
		}
		seen[section+key] = isSetting
	}
	if section != "Install" || !seen["ServiceExecStart"] {
		return fmt.Errorf("there is nothing to run or to enable")
	}
	return nil
}
