package synthetic

// Activate is the commands that have a running system make the entries, to be
// run by root: -t does it since macOS 11, -B before. Neither's status says
// anything: look at what Owed says afterwards.
func Activate() [][]string {
	const util = "/System/Library/Filesystems/apfs.fs/Contents/Resources/apfs.util"
	return [][]string{{util, "-t"}, {util, "-B"}}
}

// Restart is what only a restart of the machine brings about.
type Restart string

// The values of Restart.
const (
	NoRestart      Restart = ""
	RestartMakes   Restart = "make"   // the directory is listed and not there
	RestartRemoves Restart = "remove" // the directory is there and listed no more
)

// Owed says what a restart is still to bring about, of a name that a manifest
// lists or not, and that is a directory of the root or not.
func Owed(listed, there bool) Restart {
	switch {
	case listed && !there:
		return RestartMakes
	case there && !listed:
		return RestartRemoves
	}
	return NoRestart
}
