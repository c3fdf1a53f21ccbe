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
	if s.VarApart {
		return all
	}
	all = append(all, s.wal())
	if s.buildsInVar() {
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

// buildsInVar tells whether Nix builds in /nix/var/nix/builds, as it does from 2.30 on.
func (s Settings) buildsInVar() bool {
	const from, since = 2, 30
	var major, minor int
	_, err := fmt.Sscanf(s.Version, "%d.%d", &major, &minor)
	return err == nil && (major > from || major == from && minor >= since)
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
