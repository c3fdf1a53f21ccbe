// Package xdg says where a user's files are by the XDG base directory specification
// (https://specifications.freedesktop.org/basedir-spec/latest/): in a directory that a variable names,
// unless the path is relative, or else beneath the home.
package xdg

import "path/filepath"

// Dirs are a user's base directories.
type Dirs struct {
	Config, Data, State string
}

// Of gives those of the user whose home it is; getenv gives his variables.
func Of(home string, getenv func(name string) string) Dirs {
	dir := func(variable, standard string) string {
		if v := getenv(variable); filepath.IsAbs(v) {
			return v
		}
		return filepath.Join(home, standard)
	}
	return Dirs{
		Config: dir("XDG_CONFIG_HOME", ".config"),
		Data:   dir("XDG_DATA_HOME", ".local/share"),
		State:  dir("XDG_STATE_HOME", ".local/state"),
	}
}
