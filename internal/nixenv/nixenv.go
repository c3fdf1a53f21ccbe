// Package nixenv makes the environment that Nix's own profile script sets for a user
// without a daemon (scripts/nix-profile.sh.in), without touching a mount that may hang.
//
// It is made anew from the one that there is, and what it puts in front of or behind a list
// is there once: shells that are started by shells do not make it longer. It is the
// same whether the store is mounted or not, so that a shell which was started too early can use
// what is mounted later.
package nixenv

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/xdg"
	"github.com/nixnfsd/nixnfsd/mount"
)

// User is whose environment it is.
type User struct {
	Home   string
	Getenv func(name string) string // of the environment that there is
	// MountPoint is /nix. What leads into it is taken to be there, and not looked at.
	MountPoint string
	// Usable reports whether the mount can be touched. It is asked only on a system without
	// certificates of its own.
	Usable func() bool
}

// Var is a variable of the environment.
type Var struct{ Name, Value string }

// Vars are the variables to set.
func (u User) Vars() []Var {
	link, standard := u.profile(), u.MountPoint+"/var/nix/profiles/default"
	vars := []Var{
		{"NIX_PROFILES", standard + " " + link},
		{"PATH", before(or(u.Getenv("PATH"), "/usr/local/bin:/usr/bin:/bin"), link+"/bin", "/usr/bin")},
		{"XDG_DATA_DIRS", behind(or(u.Getenv("XDG_DATA_DIRS"), "/usr/local/share:/usr/share"), link+"/share", standard+"/share")},
	}
	if v := u.Getenv("MANPATH"); v != "" { // else man finds its pages beside PATH's directories
		vars = append(vars, Var{"MANPATH", before(v, link+"/share/man", "")})
	}
	if file := u.certificates(link); file != "" {
		vars = append(vars, Var{"NIX_SSL_CERT_FILE", file})
	}
	return vars
}

// profile is the link to the user's profile: where the XDG base directory specification wants
// it, if Nix was told to put it there (use-xdg-base-directories of nix.conf).
func (u User) profile() string {
	if link := filepath.Join(xdg.Of(u.Home, u.Getenv).State, "nix/profile"); u.there(link) {
		return link
	}
	return filepath.Join(u.Home, ".nix-profile")
}

// certificates is the file of certificate authorities: the user's own choice, the
// system's, or what he has installed with Nix.
func (u User) certificates(link string) string {
	if file := u.Getenv("NIX_SSL_CERT_FILE"); file != "" {
		return file
	}
	for _, file := range []string{
		"/etc/ssl/certs/ca-certificates.crt", // Debian, Arch, NixOS, nix-darwin
		"/etc/ssl/ca-bundle.pem",             // openSUSE
		"/etc/ssl/certs/ca-bundle.crt",       // older NixOS
		"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora
		"/etc/ssl/cert.pem",                  // macOS, Alpine
	} {
		if u.there(file) {
			return file
		}
	}
	if file := link + "/etc/ssl/certs/ca-bundle.crt"; u.Usable() && exists(file) {
		return file
	}
	return ""
}

// there reports whether there is a file, or a link into the mount.
func (u User) there(path string) bool {
	in, err := mount.Layout{MountPoint: u.MountPoint}.Mounted(path)
	return err == nil && (in || exists(path))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// before puts dir in front of a list, unless it is there before the directory system: further
// in front lies what somebody has put there on purpose, such as nix-shell.
func before(list, dir, system string) string {
	dirs := strings.Split(list, ":")
	at := slices.Index(dirs, dir)
	if limit := slices.Index(dirs, system); at >= 0 && (limit < 0 || at < limit) {
		return list
	}
	dirs = slices.DeleteFunc(dirs, func(d string) bool { return d == dir })
	return strings.Join(append([]string{dir}, dirs...), ":")
}

// behind puts at the end of a list those of dirs that are not in it.
func behind(list string, dirs ...string) string {
	for _, dir := range dirs {
		if !slices.Contains(strings.Split(list, ":"), dir) {
			list += ":" + dir
		}
	}
	return list
}
