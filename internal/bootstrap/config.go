package bootstrap

import (
	"fmt"
	"strings"
)

// Settings is what the choice of Nix's settings goes by.
type Settings struct {
	System   string // GOOS
	Version  string // of Nix
	VarApart bool   // /nix/var is a symbolic link to a directory outside of the mount
	BuildDir string // a directory of the user's outside of the mount
}

// Setting is a line of nix.conf, and why it is there.
type Setting struct{ Name, Value, Why string }

// Choose chooses settings for a store on the mount that one user has.
func (s Settings) Choose() []Setting {
	all := []Setting{
		s.sandbox(),
		{"auto-optimise-store", "false", "it takes a link for each file of each build; \"nix-store --optimise\" does the same when you like"},
	}
	if s.atLeast(2, 4) {
		all = append(all, Setting{"experimental-features", "nix-command flakes", "\"nix run\", \"nix shell\" and the like need them"})
	}
	if s.VarApart {
		return all
	}
	all = append(all, s.wal())
	if s.atLeast(2, 30) { // from then on Nix builds in /nix/var/nix/builds
		all = append(all, Setting{"build-dir", s.BuildDir, "builds are faster on the disk than over the mount, where this Nix would have them"})
	}
	return all
}

func (s Settings) sandbox() Setting {
	why := "it takes rights that a user has on some systems only"
	if s.System == "darwin" {
		why = "as Nix has it on macOS"
	}
	return Setting{"sandbox", "false", why}
}

// wal is about SQLite's shared memory. On NFS it has none on macOS (nfsIoMethods), while Linux's client
// shares pages between all programs of the machine.
func (s Settings) wal() Setting {
	if s.System == "darwin" {
		return Setting{"use-sqlite-wal", "false", "SQLite has no shared memory on macOS's NFS, where /nix/var is"}
	}
	return Setting{"use-sqlite-wal", "true", "Linux's NFS client shares memory; without, a Nix that is killed leaves its lock"}
}

// atLeast tells whether Nix is of a version or a later one.
func (s Settings) atLeast(major, minor int) bool {
	var x, y int
	_, err := fmt.Sscanf(s.Version, "%d.%d", &x, &y)
	return err == nil && (x > major || x == major && y >= minor)
}

// Text is nix.conf.
func Text(settings []Setting) string {
	var b strings.Builder
	b.WriteString("# By nixnfsd bootstrap, which found no nix.conf. Change it as you like.\n")
	for _, s := range settings {
		fmt.Fprintf(&b, "\n# %s\n%s = %s\n", s.Why, s.Name, s.Value)
	}
	return b.String()
}
