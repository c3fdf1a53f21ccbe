package launchd

import (
	"fmt"
	"path"
	"strings"

	"howett.net/plist"
)

// checkJob rejects what launchd.plist(5) does not know: launchd itself ignores a
// key that is misspelt.
func checkJob(text []byte) error {
	var keys map[string]any
	if _, err := plist.Unmarshal(text, &keys); err != nil {
		return err
	}
	for key, value := range keys {
		check, known := jobKeys[key]
		if !known {
			return fmt.Errorf("key %s is not in launchd.plist(5)", key)
		}
		if why := check(value); why != "" {
			return fmt.Errorf("key %s: %s", key, why)
		}
	}
	if keys["Label"] == nil {
		return fmt.Errorf("there is no Label")
	}
	if keys["Program"] == nil && keys["ProgramArguments"] == nil {
		return fmt.Errorf("there is nothing to run")
	}
	return nil
}

// jobKeys are the keys of launchd.plist(5) that a job of ours can have a use
// for, and what a value has to be. Obsolete ones (OnDemand, ServiceIPC,
// HopefullyExitsLast …) are left out.
var jobKeys = map[string]func(any) string{
	"Label":                       text,
	"Disabled":                    boolean,
	"UserName":                    text,
	"GroupName":                   text,
	"LimitLoadToSessionType":      oneOf("Aqua", "Background", "LoginWindow", "StandardIO", "System"),
	"Program":                     absolute,
	"ProgramArguments":            arguments,
	"EnableTransactions":          boolean,
	"EnablePressuredExit":         boolean,
	"KeepAlive":                   boolean,
	"RunAtLoad":                   boolean,
	"RootDirectory":               absolute,
	"WorkingDirectory":            absolute,
	"Umask":                       positive,
	"ExitTimeOut":                 positive, // 0 is for ever, and stalls the shutdown
	"ThrottleInterval":            positive,
	"InitGroups":                  boolean,
	"StartOnMount":                boolean,
	"StandardInPath":              absolute,
	"StandardOutPath":             absolute,
	"StandardErrorPath":           absolute,
	"SoftResourceLimits":          limits,
	"HardResourceLimits":          limits,
	"ProcessType":                 oneOf("Background", "Standard", "Adaptive", "Interactive"),
	"AbandonProcessGroup":         boolean,
	"LowPriorityIO":               boolean,
	"LowPriorityBackgroundIO":     boolean,
	"MaterializeDatalessFiles":    boolean,
	"LaunchOnlyOnce":              boolean,
	"SessionCreate":               boolean,
	"LegacyTimers":                boolean,
	"AssociatedBundleIdentifiers": text,
}

func text(v any) string {
	if s, ok := v.(string); !ok || s == "" {
		return "no text"
	}
	return ""
}

func boolean(v any) string {
	if _, ok := v.(bool); !ok {
		return "no boolean"
	}
	return ""
}

func positive(v any) string {
	if n, ok := v.(uint64); !ok || n == 0 {
		return "no positive number"
	}
	return ""
}

func absolute(v any) string {
	if s, ok := v.(string); !ok || !path.IsAbs(s) || strings.ContainsAny(s, "~$") {
		return "no absolute path: launchd expands nothing"
	}
	return ""
}

func oneOf(values ...string) func(any) string {
	return func(v any) string {
		for _, value := range values {
			if v == value {
				return ""
			}
		}
		return fmt.Sprintf("%v is none of %v", v, values)
	}
}

func arguments(v any) string {
	args, ok := v.([]any)
	if !ok || len(args) == 0 {
		return "no array with anything in it"
	}
	for _, a := range args {
		if _, ok := a.(string); !ok {
			return fmt.Sprintf("%v is no string", a)
		}
	}
	return absolute(args[0]) // execv, not execvp
}

func limits(v any) string {
	known := oneOf("Core", "CPU", "Data", "FileSize", "MemoryLock", "NumberOfFiles", "NumberOfProcesses", "ResidentSetSize", "Stack")
	dict, ok := v.(map[string]any)
	if !ok {
		return "no dictionary"
	}
	for name, value := range dict {
		if why := known(name) + positive(value); why != "" {
			return why
		}
	}
	return ""
}
